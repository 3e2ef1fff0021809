from ngshare.exchange import configure_exchange

c = get_config()
# Where ngshare is, the environment tells: NGSHARE_URL, or the Hub.
configure_exchange(c)
# Lists have all courses of a user; an instructor works in the only one that he teaches.
c.CourseDirectory.course_id = "*"
