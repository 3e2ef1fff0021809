from ngshare.app import main

main()
