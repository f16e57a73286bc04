package ioc

import (
	"encoding/json"
	"errors"
	"fmt"
)

var errUnknownJSON = errors.New("neither a STIX 2.1 bundle nor MISP events")

// readJSON reads a STIX bundle or MISP events. The decoder bounds how deep the text may be nested.
func readJSON(data []byte) ([]Indicator, []Problem, error) {
	var doc struct {
		Type     string            `json:"type"`
		Objects  []json.RawMessage `json:"objects"`
		Event    *mispEvent        `json:"Event"`
		Response json.RawMessage   `json:"response"`
	}
	if data[0] == '[' {
		return readMISPArray(data)
	}
	if err := json.Unmarshal(data, &doc); err != nil {
		return nil, nil, fmt.Errorf("reading JSON: %v", err)
	}
	switch {
	case doc.Type == "bundle":
		return readSTIX(doc.Objects)
	case doc.Event != nil:
		var c collector
		c.event(doc.Event)
		return c.end()
	case len(doc.Response) > 0:
		return readMISPResponse(doc.Response)
	}
	return nil, nil, errUnknownJSON
}

// A mispEvent is an event as MISP exports it: attributes, and objects that group more of them.
type mispEvent struct {
	UUID      string          `json:"uuid"`
	Info      string          `json:"info"`
	Attribute []mispAttribute `json:"Attribute"`
	Object    []struct {
		Name      string          `json:"name"`
		Attribute []mispAttribute `json:"Attribute"`
	} `json:"Object"`
}

type mispAttribute struct {
	UUID    string `json:"uuid"`
	Type    string `json:"type"`
	Value   string `json:"value"`
	Comment string `json:"comment"`
	ToIDs   *bool  `json:"to_ids"`
	Deleted bool   `json:"deleted"`
}

func readMISPArray(data []byte) ([]Indicator, []Problem, error) {
	var events []struct {
		Event *mispEvent `json:"Event"`
	}
	if err := json.Unmarshal(data, &events); err != nil {
		return nil, nil, fmt.Errorf("reading JSON: %v", err)
	}
	var c collector
	n := 0
	for _, e := range events {
		if e.Event != nil {
			n++
			c.event(e.Event)
		}
	}
	if n == 0 {
		return nil, nil, errUnknownJSON
	}
	return c.end()
}

// readMISPResponse reads what MISP's search answers: events, or attributes alone.
func readMISPResponse(data []byte) ([]Indicator, []Problem, error) {
	if data[0] == '[' {
		return readMISPArray(data)
	}
	var response struct {
		Attribute []mispAttribute `json:"Attribute"`
	}
	if err := json.Unmarshal(data, &response); err != nil {
		return nil, nil, fmt.Errorf("reading JSON: %v", err)
	}
	if response.Attribute == nil {
		return nil, nil, errUnknownJSON
	}
	var c collector
	c.attributes(response.Attribute, "", "")
	return c.end()
}

func (c *collector) event(e *mispEvent) {
	c.attributes(e.Attribute, e.Info, "")
	for _, o := range e.Object {
		c.attributes(o.Attribute, e.Info, o.Name)
	}
}

func (c *collector) attributes(list []mispAttribute, info, object string) {
	for _, a := range list {
		where := "attribute " + a.UUID
		switch {
		case a.Deleted:
			c.minor(where, a.Value, "it was deleted")
		case a.ToIDs == nil || !*a.ToIDs:
			c.minor(where, a.Value, "it is only context (to_ids)")
		case a.Value == "":
			c.problem(where, "", "it has no value")
		default:
			c.typed(where, a.Type, a.Value, func(ind *Indicator) {
				ind.Source, ind.Name = info, firstOf(a.Comment, object)
			})
		}
	}
}

func firstOf(texts ...string) string {
	for _, t := range texts {
		if t != "" {
			return t
		}
	}
	return ""
}
