package sigma

import (
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf16"
)

// maxEncodings bounds the encodings of a text: each makes it longer, or three texts of one.
const maxEncodings = 4

// item is the key of an entry in a selection: a field and its modifiers.
type item struct {
	field  string
	kind   string   // what the values are: "" for texts
	place  string   // contains, startswith, endswith
	flags  string   // of a regular expression
	encode []string // how texts are encoded, in this order

	all, cased, neq, windash, expand bool
}

// parseItem reads a key such as CommandLine|contains|all.
func parseItem(key string) (item, error) {
	names := strings.Split(key, "|")
	it := item{field: names[0]}
	for _, name := range names[1:] {
		if err := it.modify(name); err != nil {
			return it, err
		}
	}
	return it, it.check()
}

func (it *item) modify(name string) error {
	switch name {
	case "contains", "startswith", "endswith":
		if it.place != "" {
			return fmt.Errorf("modifiers %q and %q exclude each other", it.place, name)
		}
		it.place = name
	case "re", "cidr", "exists", "fieldref", "lt", "lte", "gt", "gte":
		if it.kind != "" {
			return fmt.Errorf("modifiers %q and %q exclude each other", it.kind, name)
		}
		it.kind = name
	case "i", "m", "s":
		if it.kind != "re" {
			return fmt.Errorf("modifier %q without \"re\" before it", name)
		}
		it.flags += name
	case "wide", "utf16le", "utf16be", "utf16", "base64", "base64offset":
		if it.place != "" {
			return fmt.Errorf("modifier %q must come before %q", name, it.place)
		}
		if it.encode = append(it.encode, name); len(it.encode) > maxEncodings {
			return fmt.Errorf("more than %d encodings", maxEncodings)
		}
	case "all":
		it.all = true
	case "cased":
		it.cased = true
	case "neq":
		it.neq = true
	case "windash":
		it.windash = true
	case "expand":
		it.expand = true
	case "minute", "hour", "day", "week", "month", "year":
		return fmt.Errorf("time modifier %q is not supported", name)
	default:
		return fmt.Errorf("unknown modifier %q", name)
	}
	return nil
}

// check refuses combinations that have no meaning, or one that Sigma does not define.
func (it *item) check() error {
	text := it.kind == "" || it.kind == "fieldref"
	binary := len(it.encode) > 0 && strings.HasPrefix(it.encode[len(it.encode)-1], "base64")
	switch {
	case !text && (it.place != "" || it.windash || it.cased || len(it.encode) > 0):
		return fmt.Errorf("modifier %q stands alone, with no other for texts", it.kind)
	case it.kind == "fieldref" && (it.all || it.windash || it.expand || len(it.encode) > 0):
		return errors.New("modifier \"fieldref\" goes with contains, startswith, endswith, cased and neq only")
	case it.kind == "exists" && (it.all || it.neq || it.expand):
		return errors.New("modifier \"exists\" stands alone")
	case it.field == "" && (it.neq || !text && it.kind != "re" || it.kind == "fieldref"):
		return errors.New("keywords are texts or regular expressions, and need a field for this modifier")
	case it.all && it.neq:
		return errors.New("modifiers \"all\" and \"neq\" exclude each other")
	case len(it.encode) > 0 && !binary:
		return fmt.Errorf("modifier %q needs base64 after it: records hold text", it.encode[len(it.encode)-1])
	case slices.Contains(it.encode, "base64offset") && it.place != "contains":
		return errors.New("modifier \"base64offset\" needs \"contains\" after it")
	case len(it.encode) > 0 && it.windash:
		return errors.New("modifier \"windash\" does not go with encodings")
	}
	return nil
}

// encode returns what a text becomes, with base64offset in three forms: without the characters that depend on what
// stands before and after it.
func encode(text string, encodings []string) [][]rune {
	data := [][]byte{[]byte(text)}
	for _, name := range encodings {
		var next [][]byte
		for _, d := range data {
			next = append(next, encodeOne(d, name)...)
		}
		data = next
	}
	var out [][]rune
	for _, d := range data {
		out = append(out, []rune(string(d)))
	}
	return out
}

func encodeOne(data []byte, name string) [][]byte {
	encoded := func(d []byte) []byte { return base64.StdEncoding.AppendEncode(nil, d) }
	switch name {
	case "base64":
		return [][]byte{encoded(data)}
	case "base64offset":
		var forms [][]byte
		for i := range 3 {
			e := encoded(append(make([]byte, i), data...))
			start, cut := [...]int{0, 2, 3}[i], [...]int{0, 3, 2}[(len(data)+i)%3]
			forms = append(forms, e[min(start, len(e)-cut):len(e)-cut])
		}
		return forms
	}
	var out []byte
	if name == "utf16" {
		out = append(out, 0xff, 0xfe)
	}
	for _, u := range utf16.Encode([]rune(string(data))) {
		if name == "utf16be" {
			out = append(out, byte(u>>8), byte(u))
		} else {
			out = append(out, byte(u), byte(u>>8))
		}
	}
	return [][]byte{out}
}
