package contain

import (
	"context"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/clawbook/openclaw-ir/internal/host"
)

// publishedPorts are the ports that the packet filter leads to one of these: how Docker publishes a container's port, which UFW
// never sees, and how anybody can. Not every engine is there to be asked, or answers.
func (m Machine) publishedPorts(ctx context.Context, ports []int) (led []int) {
	// The rules that lead a port on, as iptables-save(8) and nft(8) print them: the port that is led on, and where to.
	iptables := regexp.MustCompile(`--dport (\d{1,5})\b.* -j (?:DNAT --to-destination \S*:(\d{1,5})\b|REDIRECT --to-ports (\d{1,5}))`)
	nft := regexp.MustCompile(`dport (\d{1,5})\b.* (?:dnat (?:ip6? )?to \S*:(\d{1,5})\b|redirect to :(\d{1,5}))`)
	for _, q := range []struct {
		argv []string
		rule *regexp.Regexp
	}{
		{[]string{"iptables-save", "-t", "nat"}, iptables},
		{[]string{"ip6tables-save", "-t", "nat"}, iptables},
		{[]string{"nft", "list", "ruleset"}, nft},
	} {
		res := m.Run.Run(ctx, host.Command{Argv: q.argv})
		for line := range strings.Lines(string(res.Stdout)) {
			found := q.rule.FindStringSubmatch(line)
			if found == nil {
				continue
			}
			from, _ := strconv.Atoi(found[1])
			to, _ := strconv.Atoi(found[2] + found[3])
			if slices.Contains(ports, to) && from > 0 && from < 65536 && !slices.Contains(led, from) {
				led = append(led, from)
			}
		}
	}
	return led
}
