package statetest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
)

// A record is a JSON object whose members keep their order, so that a clone of a real record is written as the
// release wrote it.
type record []member

type member struct {
	name  string
	value any
}

// parseRecord reads one object. Numbers stay as they are written.
func parseRecord(line []byte) (record, error) {
	d := json.NewDecoder(bytes.NewReader(line))
	d.UseNumber()
	v, err := parseValue(d)
	if err != nil {
		return nil, err
	}
	r, ok := v.(record)
	if !ok {
		return nil, fmt.Errorf("not an object: %.40q", line)
	}
	return r, nil
}

func parseValue(d *json.Decoder) (any, error) {
	t, err := d.Token()
	if err != nil {
		return nil, err
	}
	switch t {
	case json.Delim('{'):
		r := record{}
		for d.More() {
			name, err := d.Token()
			if err != nil {
				return nil, err
			}
			v, err := parseValue(d)
			if err != nil {
				return nil, err
			}
			r = append(r, member{name.(string), v})
		}
		_, err = d.Token()
		return r, err
	case json.Delim('['):
		list := []any{}
		for d.More() {
			v, err := parseValue(d)
			if err != nil {
				return nil, err
			}
			list = append(list, v)
		}
		_, err = d.Token()
		return list, err
	}
	return t, nil
}

// MarshalJSON writes the members in their order, as Node.js would: without escapes for HTML.
func (r record) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	b.WriteByte('{')
	for i, m := range r {
		if i > 0 {
			b.WriteByte(',')
		}
		for _, part := range []any{m.name, m.value} {
			if err := encode(&b, part); err != nil {
				return nil, err
			}
			b.WriteByte(':')
		}
		b.Truncate(b.Len() - 1)
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

func encode(b *bytes.Buffer, v any) error {
	e := json.NewEncoder(b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return err
	}
	b.Truncate(b.Len() - 1) // the line end
	return nil
}

// line is the record as one line of JSON, without its end.
func (r record) line() string {
	var b bytes.Buffer
	if err := encode(&b, r); err != nil {
		panic(err) // a record holds nothing that JSON cannot say
	}
	return b.String()
}

// at returns the member that a dotted path names, nil if there is none.
func (r record) at(path string) any {
	name, rest, nested := strings.Cut(path, ".")
	for _, m := range r {
		if m.name != name {
			continue
		}
		if inner, ok := m.value.(record); ok && nested {
			return inner.at(rest)
		}
		if nested {
			return nil
		}
		return m.value
	}
	return nil
}

// text is at for a member that is text.
func (r record) text(path string) string {
	s, _ := r.at(path).(string)
	return s
}

// with returns a copy in which the member that a dotted path names has a value; the original is left alone.
func (r record) with(path string, value any) record {
	name, rest, nested := strings.Cut(path, ".")
	out := make(record, len(r), len(r)+1)
	copy(out, r)
	for i, m := range out {
		if m.name != name {
			continue
		}
		if nested {
			inner, _ := m.value.(record)
			value = inner.with(rest, value)
		}
		out[i].value = value
		return out
	}
	if nested {
		value = record{}.with(rest, value)
	}
	return append(out, member{name, value})
}

// without returns a copy that lacks a member.
func (r record) without(name string) record {
	var out record
	for _, m := range r {
		if m.name != name {
			out = append(out, m)
		}
	}
	return out
}
