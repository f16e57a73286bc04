package jsonl

import (
	"bytes"
	"errors"
	"io"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/clawbook/openclaw-ir/internal/statetest"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// lenient is the reference for what is syntax and what is not: strict syntax, any bytes, names may repeat.
var lenient = []jsontext.Options{jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true)}

func skipOne(text []byte) error {
	var p Parser
	p.Reset(text)
	p.Skip()
	return p.End()
}

var seeds = []string{
	`{"type":"message","id":"a","message":{"role":"assistant","content":[{"type":"toolCall","name":"exec","arguments":{"command":"ls\n"}}]}}`,
	`[]`, `{}`, `[1,2.5e-3,-0,true,false,null,"x"]`, `{"a":{"b":[{"c":[]}]}}`, `"\ud83e\udd9e \ud800 \u0041\\"`,
	` { "k" : [ ] , "k" : 2 } `, `01`, `1.`, `-`, `+1`, `.5`, `1e`, `NaN`, `tru`, `{"a"}`, `{"a":}`, `{,}`, `[,]`, `[1,]`, `{"a":1,}`,
	`"a`, "\"a\x01\"", `"\x"`, `"\u12"`, `{"a":1}}`, `{"a" 1}`, `{a:1}`, `[1 2]`, "\"\xff\"", ``, `  `, `{"a":[}]`, "[\"\t\"]",
}

// TestSkipAgreesWithReference holds every one-byte cut, doubling and swap of the seeds against jsontext.
func TestSkipAgreesWithReference(t *testing.T) {
	check := func(text []byte) {
		t.Helper()
		got := skipOne(text) == nil
		want := jsontext.Value(text).IsValid(lenient...)
		if got != want {
			t.Errorf("%q: valid %v, the reference says %v", text, got, want)
		}
	}
	for _, s := range seeds {
		b := []byte(s)
		check(b)
		for i := range b {
			check(append(append([]byte{}, b[:i]...), b[i+1:]...))
			check(append(append(append([]byte{}, b[:i]...), b[i]), b[i:]...))
			if i+1 < len(b) {
				swapped := bytes.Clone(b)
				swapped[i], swapped[i+1] = b[i+1], b[i]
				check(swapped)
			}
		}
	}
}

func FuzzSkip(f *testing.F) {
	for _, s := range seeds {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		if got, want := skipOne(text) == nil, jsontext.Value(text).IsValid(lenient...); got != want {
			t.Errorf("%q: valid %v, the reference says %v", text, got, want)
		}
		walk(text) // must not panic or hang
	})
}

// walk enters every container and reads every scalar, the other way through the parser.
func walk(text []byte) error {
	var p Parser
	p.Reset(text)
	var value func()
	value = func() {
		switch p.Kind() {
		case '{':
			for range p.Members() {
				value()
			}
		case '[':
			for range p.Elements() {
				value()
			}
		case '"':
			p.Text()
		case '0':
			p.Int()
		default:
			p.Bool()
		}
	}
	value()
	return p.End()
}

func TestWalkAgreesWithSkip(t *testing.T) {
	for _, s := range seeds {
		if got, want := walk([]byte(s)) == nil, skipOne([]byte(s)) == nil; got != want {
			t.Errorf("%q: walk says valid %v, skip %v", s, got, want)
		}
	}
}

func TestLastNameWins(t *testing.T) {
	var p Parser
	p.Reset([]byte(`{"command":"ls","Command":"no","comm\u0061nd":"rm"}`))
	command := ""
	for name := range p.Members() {
		if string(name) == "command" { // the others are skipped
			command = p.Text()
		}
	}
	if err := p.End(); err != nil || command != "rm" {
		t.Errorf("command = %q, %v; JSON.parse gives \"rm\"", command, err)
	}
}

func TestUnquote(t *testing.T) {
	for raw, want := range map[string]string{
		`"plain"`:                  "plain",
		`""`:                       "",
		`"\"\\\/\b\f\n\r\t\u0041"`: "\"\\/\b\f\n\r\tA",
		`"\ud83e\udd9e"`:           "🦞",
		`"\ud83e"`:                 "\uFFFD",
		`"\ud83e\u0041"`:           "\uFFFDA",
		`"\udd9e\ud83e x"`:         "\uFFFD\uFFFD x",
		`"héllo 世界"`:               "héllo 世界",
		`"01234567\n01234567"`:     "01234567\n01234567",
		"\"\xff\xfe\"":             "\xff\xfe",
		`"\u202e\u0000"`:           "\u202e\x00",
	} {
		if got := Unquote([]byte(raw)); got != want {
			t.Errorf("Unquote(%s) = %q, want %q", raw, got, want)
		}
		if n := TextLen([]byte(raw)); n != int64(len(want)) {
			t.Errorf("TextLen(%s) = %d, want %d", raw, n, len(want))
		}
	}
}

func TestDepthIsBounded(t *testing.T) {
	for _, n := range []int{MaxDepth, MaxDepth + 1, 2_000_000} {
		text := []byte(strings.Repeat("[", n) + strings.Repeat("]", n))
		if got, want := skipOne(text) == nil, n <= MaxDepth; got != want {
			t.Errorf("%d deep: valid %v, want %v", n, got, want)
		}
	}
}

// TestLinesLosesNothing cuts random texts, read in random pieces, and puts them together again.
func TestLinesLosesNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := strings.Join(rapid.SliceOf(rapid.StringMatching(`[a-z]{0,40}`)).Draw(t, "lines"), "\n")
		var r io.Reader = strings.NewReader(text)
		if rapid.Bool().Draw(t, "halves") {
			r = iotest.HalfReader(r)
		}
		lines := NewLines(r, new(Buffers))
		var got []byte
		for {
			c, err := lines.Next()
			if err == io.EOF {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			if c.Offset != int64(len(got)) || c.Line != int64(bytes.Count(got, []byte{'\n'}))+1 {
				t.Fatalf("chunk at line %d, byte %d; want %d, %d", c.Line, c.Offset, bytes.Count(got, []byte{'\n'})+1, len(got))
			}
			got = append(got, c.Text...)
		}
		if diff := cmp.Diff(text, string(got)); diff != "" {
			t.Fatal(diff)
		}
	})
}

// TestSmallFilesShareBuffers: of a million small files each may cost what it holds, and no chunk's memory.
func TestSmallFilesShareBuffers(t *testing.T) {
	if statetest.Raced() {
		t.Skip("the race detector has pools forget what they hold")
	}
	var buffers Buffers
	read := func() {
		lines := NewLines(strings.NewReader("{}\n"), &buffers)
		for {
			c, err := lines.Next()
			if err != nil {
				return
			}
			buffers.Put(c.Text)
		}
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	const files = 1000
	for range files {
		read()
	}
	runtime.ReadMemStats(&after)
	if size := (after.TotalAlloc - before.TotalAlloc) / files; size > chunkSize/8 {
		t.Errorf("a small file takes %d bytes", size)
	}
}

func TestOverlongLineIsCounted(t *testing.T) {
	long := strings.Repeat("x", MaxLine+chunkSize+5)
	lines := NewLines(strings.NewReader("a\n"+long+"\nb\n"), new(Buffers))
	var texts []string
	var tooLong int64
	for {
		c, err := lines.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		tooLong += c.TooLong
		texts = append(texts, string(c.Text))
	}
	if tooLong != int64(len(long)+1) {
		t.Errorf("passed over %d bytes, want %d", tooLong, len(long)+1)
	}
	if got := strings.Join(texts, ""); got != "a\nb\n" {
		t.Errorf("lines around it: %d bytes, want %q", len(got), "a\nb\n")
	}
}

func TestReadErrorComesLast(t *testing.T) {
	broken := errors.New("disk on fire")
	lines := NewLines(io.MultiReader(strings.NewReader("a\nb"), iotest.ErrReader(broken)), new(Buffers))
	var got string
	for {
		c, err := lines.Next()
		if err != nil {
			if !errors.Is(err, broken) {
				t.Errorf("error %v, want %v", err, broken)
			}
			break
		}
		got += string(c.Text)
	}
	if got != "a\nb" {
		t.Errorf("read %q before the error, want %q", got, "a\nb")
	}
}

func BenchmarkSkip(b *testing.B) {
	line := []byte(`{"type":"message","id":"a87e1df6-cf43-42f1-aa70-2486172efa82","parentId":"6d3860d6-e9fc-4bdb-adff-bb406156aaf4","timestamp":"2026-11-22T08:14:27.894Z","message":{"role":"toolResult","toolCallId":"call_74_0","toolName":"exec","content":[{"type":"text","text":"` +
		strings.Repeat(`drwxr-xr-x 2 claw claw 4096 Nov 22 08:04 notes\n`, 40) + `"}],"details":{"status":"completed","exitCode":0,"durationMs":156},"isError":false,"timestamp":1795335267893}}`)
	b.SetBytes(int64(len(line)))
	for b.Loop() {
		if err := skipOne(line); err != nil {
			b.Fatal(err)
		}
	}
}

func TestUnquoteStartCutsWhole(t *testing.T) {
	raw := []byte(`"ab\n\ud83e\udd9e世界cd"`)
	whole := Unquote(raw)
	for n := range len(raw) {
		got := UnquoteStart(raw, n)
		if !strings.HasPrefix(whole, got) || len(got) < min(n, len(whole)) || len(got) > n+4 && got != whole {
			t.Errorf("first %d bytes of %q: %q", n, whole, got)
		}
	}
}

// TestUnreadValuesAreSkipped looks at values without reading them, between white space.
func TestUnreadValuesAreSkipped(t *testing.T) {
	var p Parser
	p.Reset([]byte(`{ "a" : { "x" : [ 1 , 2 ] } , "b" : [ true , "y" ] , "c" : 3 }`))
	var names []string
	elements := 0
	for name := range p.Members() {
		names = append(names, string(name)+string(p.Kind()))
		if string(name) == "b" {
			for range p.Elements() {
				p.Kind()
				elements++
			}
		}
	}
	if err := p.End(); err != nil || strings.Join(names, " ") != "a{ b[ c0" || elements != 2 {
		t.Errorf("%v, %d elements, %v", names, elements, err)
	}
}
