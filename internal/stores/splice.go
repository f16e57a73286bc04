package stores

import (
	"bytes"
	"cmp"
	"slices"
	"strconv"

	"github.com/clawbook/openclaw-ir/internal/json5"
)

// An edit puts a text in the place of the bytes from start to end. Edits of one text do not overlap.
type edit struct {
	start, end int
	text       string
}

// splice applies edits and leaves every other byte as it was.
func splice(text []byte, edits []edit) []byte {
	slices.SortStableFunc(edits, func(a, b edit) int { return cmp.Compare(a.start, b.start) })
	var out bytes.Buffer
	at := 0
	for _, e := range edits {
		out.Write(text[at:e.start])
		out.WriteString(e.text)
		at = e.end
	}
	out.Write(text[at:])
	return out.Bytes()
}

// without takes members out of an object, each with the comma that goes with it.
func without(object *json5.Value, drop func(json5.Member) bool) (edits []edit) {
	m := object.Members
	for i := 0; i < len(m); i++ {
		if !drop(m[i]) {
			continue
		}
		first := i
		for i+1 < len(m) && drop(m[i+1]) {
			i++
		}
		switch {
		case first > 0:
			edits = append(edits, edit{start: m[first-1].Value.End, end: m[i].Value.End})
		case i+1 < len(m):
			edits = append(edits, edit{start: m[0].KeyStart, end: m[i+1].KeyStart})
		default:
			edits = append(edits, edit{start: object.Start, end: object.End, text: "{}"})
		}
	}
	return edits
}

// set gives an object's member a value, written as JSON. Every member of that name gets it, for readers differ in
// which one counts.
func set(object *json5.Value, key, value string) (edits []edit) {
	for _, m := range object.Members {
		if m.Key == key {
			edits = append(edits, edit{start: m.Value.Start, end: m.Value.End, text: value})
		}
	}
	if edits != nil {
		return edits
	}
	member := strconv.Quote(key) + ": " + value
	if len(object.Members) > 0 {
		member += ", "
	}
	return []edit{{start: object.Start + 1, end: object.Start + 1, text: member}}
}

// text returns a member's string, or "" if it has none.
func text(v *json5.Value, path ...string) string {
	if v = v.Get(path...); v != nil && v.Kind == json5.String {
		return v.Str
	}
	return ""
}

// isTrue reports whether v says yes: true, or a value that isn't null, false, 0 or "", as JavaScript takes it.
func isTrue(v *json5.Value) bool {
	switch {
	case v == nil, v.Kind == json5.Null:
		return false
	case v.Kind == json5.Bool:
		return v.Bool
	case v.Kind == json5.Number:
		return v.Num != 0
	case v.Kind == json5.String:
		return v.Str != ""
	}
	return true
}
