from ngshare.exchange import configure_exchange

c = get_config()
# Where ngshare is, the environment tells: NGSHARE_URL, or the Hub.
configure_exchange(c)
# Lists have all courses of a user; instructors work in the only one that they teach.
c.CourseDirectory.course_id = "*"
