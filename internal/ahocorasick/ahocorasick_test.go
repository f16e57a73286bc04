package ahocorasick

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// naive looks for each word at each place.
func naive(words []string, text string) (found []string) {
	fold := asciiLower(text)
	for end := range len(text) + 1 {
		for i, w := range words {
			if w != "" && strings.HasSuffix(fold[:end], asciiLower(w)) {
				found = append(found, fmt.Sprintf("%d@%d", i, end))
			}
		}
	}
	slices.Sort(found)
	return found
}

func asciiLower(s string) string {
	b := []byte(s)
	for i := range b {
		b[i] = lower(b[i])
	}
	return string(b)
}

func all(m *Machine, text string) (found []string) {
	m.Find(text, func(word, end int) bool {
		found = append(found, fmt.Sprintf("%d@%d", word, end))
		return true
	})
	slices.Sort(found)
	return found
}

func TestFind(t *testing.T) {
	for _, row := range []struct{ words, text string }{
		{"he she his hers", "ushers and HIS"},
		{"a aa aaa aaaa", "aaaaa"},
		{"x", ""},
		{"abcdef bcd c", "xabcdefx abcdex"},
		{"same same Same", "SAME"},
		{"1.2.3.4", "11.2.3.45"},
		{"abcdefghijkl abcdefghiJKM abcdefghij cdefghijklmnop", "abcdefghijklmnop ABCDEFGHIJKM abcdefghijk cdefghijklmno"},
		{"aaaaaaaaaaab", "aaaaaaaaaaaaaaab aaaaaaaaaaa"},
		{"\xff\x00", "a\xff\x00b"},
		{"abcde bcdef cdefg zzzzzzzzzzzz", "xxabcdefgxx abcd efgh ABCDEFG zzzzzzzzzzzzzz"},
	} {
		words := append(strings.Split(row.words, " "), "")
		if got, want := all(New(words), row.text), naive(words, row.text); !slices.Equal(got, want) {
			t.Errorf("%q in %q: %v, want %v", words, row.text, got, want)
		}
	}
	all(New(nil), "text")
}

func TestFindStops(t *testing.T) {
	calls := 0
	New([]string{"a", "b"}).Find("ababab", func(int, int) bool {
		calls++
		return calls < 3
	})
	if calls != 3 {
		t.Errorf("%d calls after it was told to stop at the third", calls)
	}
}

func TestFindAgreesWithNaiveSearch(t *testing.T) {
	word := rapid.StringOfN(rapid.SampledFrom([]rune("abAc.é")), 0, 24, -1)
	long := rapid.StringOfN(rapid.SampledFrom([]rune("abA")), 4, 9, -1)
	rapid.Check(t, func(t *rapid.T) {
		words := rapid.SliceOfN(rapid.SampledFrom([]*rapid.Generator[string]{word, long}).Draw(t, "words are"), 0, 12).Draw(t, "words")
		text := rapid.StringOfN(rapid.SampledFrom([]rune("abBcaab.éx")), 0, 60, -1).Draw(t, "text")
		if got, want := all(New(words), text), naive(words, text); !slices.Equal(got, want) {
			t.Fatalf("%v, want %v", got, want)
		}
	})
}

func FuzzFind(f *testing.F) {
	f.Add("he she his hers", "ushers")
	f.Add("\xff \x00", "a\xff\x00")
	f.Fuzz(func(t *testing.T, list, text string) {
		words := strings.Split(list, " ")
		if len(words) > 50 || len(text) > 200 {
			t.Skip()
		}
		if got, want := all(New(words), text), naive(words, text); !slices.Equal(got, want) {
			t.Fatalf("%v, want %v", got, want)
		}
	})
}

// BenchmarkFind looks for 20,000 host names in text that holds none of them.
func BenchmarkFind(b *testing.B) {
	rng := rand.New(rand.NewPCG(1, 2))
	var words []string
	for range 20_000 {
		words = append(words, fmt.Sprintf("%x.example%d.com", rng.Uint64(), rng.IntN(100)))
	}
	m := New(words)
	text := strings.Repeat("the agent wrote node_modules/.bin/tsc 4096 -rw-r--r-- https://docs.openclaw.ai/x exit 0\n", 10_000)
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		m.Find(text, func(int, int) bool { return true })
	}
}

// TestLongListIsSmall looks whether what only one word of many has costs no nodes, and that hostile text does not have it compared for ever.
func TestLongListIsSmall(t *testing.T) {
	var words []string
	for i := range 10_000 {
		words = append(words, fmt.Sprintf("%08d", i)+strings.Repeat("x", 56))
	}
	if m := New(words); len(m.nodes) > 3*len(words) {
		t.Errorf("%d nodes for %d words", len(m.nodes), len(words))
	}
	long := strings.Repeat("a", 2000) + "b"
	if n := len(New([]string{long}).nodes); n < len(long)-maxRest {
		t.Errorf("%d bytes are compared", len(long)-n)
	}
}
