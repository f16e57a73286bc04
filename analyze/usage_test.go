package analyze

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// answers writes a transcript of answers, one an hour from a day on, which took so much.
func answers(took []string) string {
	var b strings.Builder
	b.WriteString(`{"type":"session","id":"s","timestamp":"2026-11-01T00:00:00.000Z"}` + "\n")
	for i, u := range took {
		at := time.Date(2026, 11, 1, i, 5, 0, 0, time.UTC).Format("2006-01-02T15:04:05.000Z")
		fmt.Fprintf(&b, `{"type":"message","id":"m%d","timestamp":"%s","message":{"role":"assistant","content":[{"type":"text","text":"done %d"}],"model":"big","usage":%s}}`+"\n", i, at, i, u)
	}
	return b.String()
}

func TestCostSpikes(t *testing.T) {
	cost := func(dollars string) string {
		return `{"input":1,"totalTokens":1000,"cost":{"input":0,"total":` + dollars + `}}`
	}
	free := func(tokens string) string { return `{"totalTokens":` + tokens + `,"cost":{"total":0}}` }
	usual := func(one string, n int) []string {
		return strings.Split(strings.Repeat(one+"\n", n)[:(len(one)+1)*n-1], "\n")
	}
	for _, c := range []struct {
		name string
		took []string
		want string
	}{
		{"dear", append(usual(cost("0.8"), 12), cost("41.25")), "Tokens 1000, Median 0.80, Cost 41.25, Model big"},
		{"dear for this agent but cheap", append(usual(cost("0.01"), 12), cost("4.9")), ""},
		{"within the spread", append(usual(cost("4")+"\n"+cost("12")+"\n"+cost("8"), 4), cost("20")), ""},
		{"nothing to compare with", append(usual(cost("0.8"), 5), cost("41.2")), ""},
		{"without a price", append(usual(free("90000"), 12), free("3000000")), "Tokens 3000000, Median 90000, Model big"},
		{"without a price, usual", append(usual(free("1900000"), 12), free("1999999")), ""},
		{"no numbers", append(usual(cost("0.8"), 12), cost(`"41"`), cost("-41"), cost("1e300"), `{"totalTokens":"x","cost":[1]}`, `7`), ""},
		{"long ago", append(append(usual(cost("0.8"), 12), usual(`{}`, 15*24)...), cost("41.2")), ""},
	} {
		text := answers(c.took)
		root := hostOf(t, map[string]string{
			".openclaw/openclaw.json": "{}", ".openclaw/agents/main/sessions/s.jsonl": text,
			".openclaw/agents/main/sessions/s.jsonl.reset.2026-11-20T00-00-00.000Z": text, // a copy takes nothing
		})
		if got := strings.Join(levelsOf(found(t, root), "CST-001"), "\n"); !strings.HasSuffix(got, c.want) || (got == "") != (c.want == "") {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}
