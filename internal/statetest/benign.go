package statetest

import (
	"encoding/base64"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"
)

// BenignVersions returns every version that Benign takes, oldest release first.
func BenignVersions() []string {
	return []string{"2026.1.30", "2026.2.12", "2026.3.31", "2026.7.1", "2026.9.6"}
}

// Benign writes the state of a host where nothing but ordinary work was done: every command and text of testdata/benign,
// in records cloned from those that the real gateway of that version, one of BenignVersions, wrote. The seed decides order,
// names, times and ids; the same seed gives the same state. It returns the directory, laid out as Root's are.
func Benign(tb testing.TB, version string, seed uint64) string {
	tb.Helper()
	rnd := rand.New(rand.NewPCG(seed, 0))
	turns := readCorpus(tb, rnd).deal(rnd)
	if version == "2026.9.6" {
		return writeRows(tb, rnd, turns)
	}
	return writeLines(tb, version, rnd, turns)
}

// firstTurn is when the generated work begins. It goes on for a week.
func firstTurn() time.Time { return time.Date(2026, 11, 20, 6, 30, 0, 0, time.UTC) }

// benignRounds is how often each command is run, with other names and at another time: enough for 2,000 events.
const benignRounds = 2

// deal puts the corpus into an order: of each round the commands in any, with everything else among them.
func (c corpus) deal(rnd *rand.Rand) []turn {
	var all []turn
	for round := range benignRounds {
		commands := append([]turn(nil), c.commands...)
		rnd.Shuffle(len(commands), func(i, j int) { commands[i], commands[j] = commands[j], commands[i] })
		others := [][]turn{c.chats, c.pages, c.mails, c.documents, specialTurns(rnd)}
		if round == 0 {
			others = append(others, c.memories, c.reminders)
		}
		all = append(all, merge(rnd, append(others, commands))...)
	}
	for i := range all {
		all[i] = all[i].filled(rnd)
	}
	return all
}

// merge takes the lists together at random, each in its own order.
func merge(rnd *rand.Rand, lists [][]turn) []turn {
	left := 0
	for _, list := range lists {
		left += len(list)
	}
	merged := make([]turn, 0, left)
	for ; left > 0; left-- {
		n := rnd.IntN(left)
		for i, list := range lists {
			if n < len(list) {
				merged = append(merged, list[0])
				lists[i] = list[1:]
				break
			}
			n -= len(list)
		}
	}
	return merged
}

// blanks are what stands for {name} in the corpus.
func blanks(rnd *rand.Rand) *strings.Replacer {
	pick := func(words string) string {
		list := strings.Fields(words)
		return list[rnd.IntN(len(list))]
	}
	return strings.NewReplacer(
		"{repo}", pick("starter-bot oven-api loaf-site shop price-list flour-lib till-sync recipes"),
		"{host}", pick("shop.bakehouse.example staging.example.net www.bakehouse.example nas.home.arpa"),
		"{svc}", pick("oven-api nginx till-sync postgres redis worker"),
		"{file}", pick("src/price.go src/order.js app/models.py lib/weight.rb cmd/main.go"),
		"{branch}", pick("fix-rounding new-menu docs bea/opening-hours release-42"),
		"{date}", fmt.Sprintf("2026-11-%02d", 10+rnd.IntN(18)),
		"{port}", pick("3000 5173 8080 8000 4321"),
		"{n}", fmt.Sprint(2+rnd.IntN(400)),
	)
}

// filled fills in a turn's blanks and what the commands printed.
func (t turn) filled(rnd *rand.Rand) turn {
	fill := blanks(rnd)
	t.ask, t.reply = fill.Replace(t.ask), fill.Replace(t.reply)
	calls := make([]call, len(t.calls))
	for i, c := range t.calls {
		c.args = fillRecord(fill, c.args)
		c.result = fill.Replace(c.result)
		if c.tool == "exec" && c.result == "" {
			c.result, c.code = outputOf(rnd, c.args.text("command"))
		}
		calls[i] = c
	}
	t.calls = calls
	if t.reply == "" {
		t.reply = []string{"Done.", "Here it is.", "All fine.", "Finished, nothing unusual.", "That's all of it."}[rnd.IntN(5)]
	}
	return t
}

func fillRecord(fill *strings.Replacer, r record) record {
	out := make(record, len(r))
	for i, m := range r {
		if s, ok := m.value.(string); ok {
			m.value = fill.Replace(s)
		}
		out[i] = m
	}
	return out
}

// specialTurns are those that no list can hold: pictures, long outputs, a browser, helpers, heartbeats, colleagues.
func specialTurns(rnd *rand.Rand) []turn {
	picture := make([]byte, 6000)
	for i := range picture {
		picture[i] = byte(rnd.Uint32())
	}
	image := base64.StdEncoding.EncodeToString(picture)
	bundle := strings.Repeat(`!function(e){"use strict";var t=e.createElement("p");t.innerHTML="&lt;b&gt;",e.body.appendChild(t)}(document);`, 60)
	turns := []turn{
		{kind: "main", ask: "what is on photos/oven.png?", calls: []call{{tool: "read", args: record{{"path", "photos/oven.png"}}, result: "data:image/png;base64," + image}}, reply: "The oven, with the door open."},
		{kind: "main", ask: "why is site/app.min.js so big?", calls: []call{{tool: "read", args: record{{"path", "site/app.min.js"}}, result: bundle}}, reply: "It has everything in it twice."},
		{kind: "main", ask: "show me the whole access log of today", calls: []call{exec("cat logs/access.log", accessLog(rnd, 400))}},
		{kind: "main", ask: "look at our shop in the browser", calls: []call{
			{tool: "browser", args: record{{"action", "open"}, {"url", "https://shop.bakehouse.example/"}}, result: `{"ok":true,"targetId":"tab-1"}`},
			{tool: "browser", args: record{{"action", "snapshot"}, {"targetId", "tab-1"}}, result: "- heading \"Bakehouse\" [ref=e1]\n- link \"Bread\" [ref=e2]\n- link \"Cakes\" [ref=e3]\n- button \"Order\" [ref=e4]"},
			{tool: "browser", args: record{{"action", "act"}, {"request", record{{"kind", "click"}, {"ref", "e4"}}}}, result: `{"ok":true}`},
		}},
		{kind: "main", ask: "let a helper count the orders of each day", calls: []call{{tool: "sessions_spawn", args: record{{"task", "Count the orders of each day in data/orders.json."}, {"label", "order counter"}}, result: `{"status":"accepted"}`}}},
		{kind: "subagent", name: "order counter", ask: "Count the orders of each day in data/orders.json.", calls: []call{exec("jq -r '.[].day' data/orders.json | sort | uniq -c", "  31 2026-11-26\n  28 2026-11-27")}, reply: "31 on the 26th, 28 on the 27th."},
		{kind: "main", ask: "tell Bea that the oven is fixed", calls: []call{{tool: "message", args: record{{"action", "send"}, {"channel", "{channel}"}, {"target", "{bea}"}, {"message", "The oven is fixed, says Alice."}}, result: `{"ok":true}`}}, reply: "Told."},
		{kind: "main", ask: "rename the constant in src/price.go", calls: []call{{tool: "apply_patch", args: record{{"input", "*** Begin Patch\n*** Update File: src/price.go\n@@\n-const cakePrice = 4200\n+const CakePrice = 4200\n*** End Patch"}}, result: "Success. Updated the following files:\nM src/price.go"}}},
		{kind: "heartbeat", calls: []call{{tool: "read", args: record{{"path", "HEARTBEAT.md"}}, result: "# Heartbeat\n- If a freezer alarm is open in notes/alarms.md, tell Alice.\n"}}, reply: "HEARTBEAT_OK"},
		{kind: "heartbeat", reply: "HEARTBEAT_OK"},
		{kind: "group", name: "Bea", ask: "@openclaw when do we open on Sunday?", reply: "At seven, Bea."},
		{kind: "group", name: "Carlo", ask: "@openclaw who has the late shift?", calls: []call{{tool: "read", args: record{{"path", "notes/roster.md"}}, result: "# Roster\n- Thu late: Carlo\n- Fri late: Bea\n"}}, reply: "You have, Carlo: Thursday."},
		{kind: "group", name: "Bea", ask: "@openclaw how do you say thank you in Portuguese? 🇵🇹", reply: "Obrigada, if you say it."},
		{kind: "main", ask: "did the import end?", calls: []call{{tool: "process", args: record{{"action", "list"}}, result: "No running or recent sessions."}}},
	}
	return turns
}

func accessLog(rnd *rand.Rand, lines int) string {
	var b strings.Builder
	at := time.Date(2026, 11, 27, 0, 0, 0, 0, time.UTC)
	for range lines {
		at = at.Add(time.Duration(rnd.IntN(200)) * time.Second)
		path := []string{"/", "/bread", "/cakes?page=2", "/order", "/style.css", "/wp-login.php", "/.env", "/robots.txt"}[rnd.IntN(8)]
		fmt.Fprintf(&b, "203.0.113.%d - - [%s] \"GET %s HTTP/1.1\" %d %d \"-\" \"Mozilla/5.0 (X11; Linux x86_64)\"\n",
			rnd.IntN(250), at.Format("02/Jan/2006:15:04:05 -0700"), path, []int{200, 200, 304, 404}[rnd.IntN(4)], rnd.IntN(9000))
	}
	return b.String()
}
