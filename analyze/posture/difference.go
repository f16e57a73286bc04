package posture

import (
	"cmp"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/clawbook/openclaw-ir/internal/openclaw"
)

// A change is one place at which two trees differ. Applied to the one it gives the other.
type change struct {
	path     []string // member names; an array is one value
	was, is  any
	had, has bool // whether there was something before, and is after
}

// differences returns the places at which b differs from a, in the order of their names. Objects are compared member
// by member, anything else as a whole.
func differences(a, b map[string]any) (list []change) {
	diffInto(&list, nil, a, b)
	return list
}

func diffInto(list *[]change, path []string, a, b map[string]any) {
	for _, name := range namesOf(a, b) {
		was, had := a[name]
		is, has := b[name]
		here := append(slices.Clone(path), name)
		x, xMap := was.(map[string]any)
		y, yMap := is.(map[string]any)
		switch {
		case xMap && yMap && len(x) > 0 && len(y) > 0:
			diffInto(list, here, x, y)
		case had != has || !reflect.DeepEqual(was, is):
			*list = append(*list, change{here, was, is, had, has})
		}
	}
}

func namesOf(trees ...map[string]any) (names []string) {
	for _, t := range trees {
		for name := range t {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// A Setting is one that differs between two versions of a configuration. Its strings may hold secrets.
type Setting struct {
	Key            string // names with dots between; what lies in an array has [] for its index
	Was, Is        string
	Added, Removed bool // it is only in the later version, only in the earlier one
}

// Settings tells every setting that differs between two configurations. Where OpenClaw notes when it wrote the file is left out.
func Settings(older, newer *openclaw.Config) (list []Setting) {
	var a, b map[string]any
	if older != nil {
		a = older.Tree
	}
	if newer != nil {
		b = newer.Tree
	}
	for _, c := range differences(a, b) {
		if isBookkeeping(c.path) {
			continue
		}
		for _, t := range pair(c.leaves()) {
			list = append(list, Setting{t.Key, t.Previous, t.Value, t.Added, t.Removed})
		}
	}
	return list
}

// A leaf is a value without members: a scalar, or an empty object or array.
type leaf struct{ key, value string }

// leaves are the leaves that a change takes away and those that it brings, each ordered and without what both have.
func (c *change) leaves() (gone, come []leaf) {
	if c.had {
		gone = flatten(joinKey(c.path), c.was)
	}
	if c.has {
		come = flatten(joinKey(c.path), c.is)
	}
	return without(gone, come), without(come, gone)
}

// without returns what of a list, which may hold one leaf several times, another does not hold.
func without(list, other []leaf) (left []leaf) {
	count := map[leaf]int{}
	for _, l := range other {
		count[l]++
	}
	for _, l := range list {
		if count[l]--; count[l] < 0 {
			left = append(left, l)
		}
	}
	slices.SortStableFunc(left, func(a, b leaf) int {
		return cmp.Or(strings.Compare(a.key, b.key), strings.Compare(a.value, b.value))
	})
	return left
}

func flatten(key string, v any) (list []leaf) {
	switch v := v.(type) {
	case map[string]any:
		for _, name := range namesOf(v) {
			list = append(list, flatten(key+keyStep(key, name), v[name])...)
		}
		if len(v) > 0 {
			return list
		}
		return []leaf{{key, "{}"}}
	case []any:
		for _, e := range v {
			list = append(list, flatten(key+"[]", e)...)
		}
		if len(v) > 0 {
			return list
		}
		return []leaf{{key, "[]"}}
	}
	return []leaf{{key, scalar(v)}}
}

// maxShown bounds a value that is shown, in bytes.
const maxShown = 16 << 10

// scalar writes a scalar as people do.
func scalar(v any) string {
	switch v := v.(type) {
	case nil:
		return "null"
	case string:
		if len(v) > maxShown {
			return fmt.Sprintf("%s… (%d bytes)", strings.ToValidUTF8(v[:maxShown], ""), len(v))
		}
		return v
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64)
	case bool:
		return strconv.FormatBool(v)
	}
	return fmt.Sprint(v)
}

// joinKey writes a path with dots between.
func joinKey(path []string) (key string) {
	for _, name := range path {
		key += keyStep(key, name)
	}
	return key
}

// keyStep writes one name of a path; one that could be taken for several is quoted.
func keyStep(before, name string) string {
	if strings.ContainsAny(name, ".[]\"\n") || name == "" {
		name = strconv.Quote(name)
	}
	if before == "" {
		return name
	}
	return "." + name
}
