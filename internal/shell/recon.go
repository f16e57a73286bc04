package shell

import "strings"

// reconnaissance returns the name of the reconnaissance command that an invocation is, as DSC-001 lists them, or "".
func reconnaissance(c invocation) string {
	first := at(c.args, 1).text
	switch c.name {
	case "whoami", "id", "uname", "hostname", "ifconfig", "netstat", "ss", "ps", "w", "who", "last", "df", "mount", "lsof",
		"sw_vers", "arp", "route":
		return c.name
	case "ip":
		for _, a := range c.operands() {
			if strings.HasPrefix(a.text, "-") {
				continue
			}
			if a.text != "" && strings.HasPrefix("address", a.text) {
				return "ip a"
			}
			return ""
		}
	case "crontab", "sudo":
		if first == "-l" {
			return c.name + " -l"
		}
	}
	return ""
}
