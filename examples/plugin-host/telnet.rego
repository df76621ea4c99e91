# METADATA
# title: No telnet server
# description: What goes over telnet, passwords too, can be read on the way.
# related_resources:
# - ref: https://www.rfc-editor.org/rfc/rfc854
# custom:
#   severity: high
#   remediation: Remove the package; use SSH.
#   controls:
#     nist-800-53: [CM-7, SC-8]
#     house: [H-2]
package bartizan.host.telnet

import data.house.packages

unwanted := {"telnetd", "inetutils-telnetd", "telnet-server"}

deny contains result if {
	some found in packages.installed
	found.name in unwanted
	result := {
		"msg": sprintf("%s is installed", [found.name]),
		"path": sprintf("packages/%s", [found.name]),
		"actual": found.version,
		"expected": "not installed",
	}
}
