"""What the page servers share: headers, sessions, logins, roles, limits, the access log, texts and the look of pages.

`site.Site` is what a service brings, `application.create_app` what it gets; docs/web.md tells the rest.
"""
