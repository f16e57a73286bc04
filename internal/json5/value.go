// Package json5 reads JSON5 1.0, the format of OpenClaw's configuration files, and keeps the byte
// positions of every key and value, so that one value can be replaced and every other byte be left alone.
//
// It accepts what Node's json5 package (2.2.3) accepts, with which every release of OpenClaw reads its configuration (since
// 2026.9.6 after JSON.parse, which reads no text otherwise), with two differences: nesting is limited to
// [MaxDepth] and values to [MaxValues], and letters of unquoted keys are those of Go's Unicode tables, which are newer than Node's.
// Every JSON text is a JSON5 text, so it reads OpenClaw's JSON stores too.
//
// The size of the input is for the caller to limit: a hostile text such as "[0,0,0…" takes about 70 times
// its size in memory.
package json5

import (
	"slices"
	"strconv"
)

// Kind says which of the six JSON types a [Value] has.
type Kind uint8

// The kinds of values.
const (
	Null Kind = iota
	Bool
	Number
	String
	Array
	Object
)

// String returns the kind's name in lower case.
func (k Kind) String() string {
	names := [...]string{"null", "bool", "number", "string", "array", "object"}
	if int(k) < len(names) {
		return names[k]
	}
	return "invalid"
}

// Value is one value of a JSON5 text and where it stands in it.
type Value struct {
	Kind Kind
	// Bool is the value of a Bool.
	Bool bool
	// Start and End are the byte offsets of the value's first byte and of the byte after its last.
	// Quotes, brackets and a number's sign belong to it; white space and comments around it do not.
	Start, End int
	// Num is the value of a Number, rounded as JavaScript rounds; it may be infinite or NaN.
	Num float64
	// Str is the value of a String, valid UTF-8. A lone surrogate and a byte that is not UTF-8 become U+FFFD.
	Str string
	// Members are those of an Object in the order of the text, duplicate keys included.
	Members []Member
	// Elements are those of an Array.
	Elements []*Value
}

// Member is one key of an object with its value. The key stands between the byte offsets KeyStart and KeyEnd,
// its quotes included.
type Member struct {
	Key              string
	KeyStart, KeyEnd int
	Value            *Value
}

// Get returns the value at the path from v, or nil if there is none. A step is an object's key or an array's
// index in decimal. Of a key that occurs more than once it takes the last, as Node does.
func (v *Value) Get(path ...string) *Value {
	for _, step := range path {
		if v = v.child(step); v == nil {
			return nil
		}
	}
	return v
}

func (v *Value) child(step string) *Value {
	if v == nil {
		return nil
	}
	for _, m := range slices.Backward(v.Members) {
		if m.Key == step {
			return m.Value
		}
	}
	if i, err := strconv.Atoi(step); err == nil && 0 <= i && i < len(v.Elements) && strconv.Itoa(i) == step {
		return v.Elements[i]
	}
	return nil
}

// Walk calls fn for v and everything in it, parents first and in the order of the text, until all is seen.
// Where fn returns false it does not descend. Values hidden by a later duplicate of their key are visited
// too. The path is the one [Value.Get] takes; it is valid only until fn returns.
func (v *Value) Walk(fn func(path []string, v *Value) bool) {
	v.walk(nil, fn)
}

func (v *Value) walk(path []string, fn func([]string, *Value) bool) {
	if v == nil || !fn(path, v) {
		return
	}
	for _, m := range v.Members {
		m.Value.walk(append(path, m.Key), fn)
	}
	for i, e := range v.Elements {
		e.walk(append(path, strconv.Itoa(i)), fn)
	}
}

// Plain returns the value as encoding/json would: map[string]any, []any, string, float64, bool or nil. Of equal keys the last
// counts.
func (v *Value) Plain() any {
	switch v.Kind {
	case Object:
		tree := map[string]any{}
		for _, m := range v.Members {
			tree[m.Key] = m.Value.Plain()
		}
		return tree
	case Array:
		list := make([]any, 0, len(v.Elements))
		for _, e := range v.Elements {
			list = append(list, e.Plain())
		}
		return list
	case String:
		return v.Str
	case Number:
		return v.Num
	case Bool:
		return v.Bool
	}
	return nil
}
