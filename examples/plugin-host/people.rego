# METADATA
# title: People have a home below /home
# custom:
#   severity: low
#   remediation: Move the home folder and correct /etc/passwd.
#   controls:
#     house: [H-3]
#   requires: [users]
package bartizan.host.people

people contains user if {
	some user in input.users
	user.uid >= 1000
	user.name != "nobody"
}

deny contains result if {
	some user in people
	not startswith(user.home, "/home/")
	result := {
		"msg": sprintf("the home of %s is elsewhere", [user.name]),
		"path": sprintf("users/%s/home", [user.name]),
		"actual": user.home,
		"expected": "/home/…",
	}
}

not_applicable contains "there are no people on this machine" if count(people) == 0
