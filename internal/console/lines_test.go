package console

import (
	"bytes"
	"encoding/json"
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/clawbook/openclaw-ir/internal/inerttest"
	"pgregory.net/rapid"
)

type row struct {
	Text string  `json:"text"`
	N    float64 `json:"n"`
}

func TestJSONLines(t *testing.T) {
	for _, test := range []struct {
		name   string
		header any
		want   string
	}{
		{"nil", nil, `{"version":1}`},
		{"struct", struct {
			Command string `json:"command"`
		}{"analyze"}, `{"version":1,"command":"analyze"}`},
		{"empty map", map[string]any{}, `{"version":1}`},
	} {
		t.Run(test.name, func(t *testing.T) {
			var b bytes.Buffer
			j, err := NewJSONLines(&b, test.header)
			if err != nil {
				t.Fatal(err)
			}
			if err := j.Write(row{Text: "<a&b>\x1b\u202e\u009b\x7f\U000e0041中"}); err != nil {
				t.Fatal(err)
			}
			want := test.want + "\n" + `{"text":"<a&b>\u001b\u202e\u009b\u007f\udb40\udc41中","n":0}` + "\n"
			if got := b.String(); got != want {
				t.Errorf("got\n%swant\n%s", got, want)
			}
		})
	}
}

func TestJSONLinesRefuses(t *testing.T) {
	for _, header := range []any{[]int{1}, "x", math.NaN(), (*row)(nil)} {
		var b bytes.Buffer
		if _, err := NewJSONLines(&b, header); err == nil || b.Len() != 0 {
			t.Errorf("header %v: %v, wrote %q", header, err, &b)
		}
	}
	var b bytes.Buffer
	j, err := NewJSONLines(&b, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := j.Write(row{N: math.Inf(1)}); err == nil {
		t.Error("infinity was written")
	}
	if err := j.Write(row{Text: "next"}); err != nil {
		t.Error(err)
	}
	if got, want := b.String(), "{\"version\":1}\n{\"text\":\"next\",\"n\":0}\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestJSONLinesRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := rapid.OneOf(
			rapid.String(),
			rapid.StringOf(rapid.RuneFrom([]rune("\\\"\n\x7f\u0085\u2028\u202e\U000e0041\U0001f600"))),
		).Draw(t, "in")
		var b bytes.Buffer
		j, err := NewJSONLines(&b, nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := j.Write(row{Text: in}); err != nil {
			t.Fatal(err)
		}
		_, line, _ := strings.Cut(b.String(), "\n")
		line = strings.TrimSuffix(line, "\n")
		inerttest.JSONLines(t, "the line", line)
		var out row
		if err := json.Unmarshal([]byte(line), &out); err != nil || out.Text != in {
			t.Fatalf("%q became %q: %v", in, out.Text, err)
		}
	})
}

func TestLines(t *testing.T) {
	for _, test := range []struct {
		json bool
		want string
	}{
		{true, "{\"version\":1}\n{\"text\":\"a\\nb\",\"n\":1}\n{\"text\":\"c\",\"n\":2}\n"},
		{false, "a\\nb\nc\n"},
	} {
		c, stdout, _ := newTest(Facts{})
		l, err := NewLines(c, test.json, nil, func(r row) string { return Escape(r.Text) })
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range []row{{"a\nb", 1}, {"c", 2}} {
			if err := l.Write(r); err != nil {
				t.Fatal(err)
			}
		}
		if err := l.Flush(); err != nil {
			t.Fatal(err)
		}
		if got := stdout.String(); got != test.want {
			t.Errorf("json %v: got %q, want %q", test.json, got, test.want)
		}
	}
}

type brokenPipe struct{}

func (brokenPipe) Write([]byte) (int, error) { return 0, errors.New("broken pipe") }

func TestLinesReportsWriteErrors(t *testing.T) {
	for _, asJSON := range []bool{true, false} {
		c := New(Streams{Out: brokenPipe{}}, Facts{OutTerminal: true})
		l, err := NewLines(c, asJSON, nil, func(r row) string { return r.Text })
		if err != nil {
			t.Fatal(err)
		}
		if err := l.Write(row{}); err == nil {
			t.Errorf("json %v: no error", asJSON)
		}
	}
}
