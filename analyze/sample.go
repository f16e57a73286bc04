package analyze

import (
	"maps"
	"slices"

	"github.com/clawbook/openclaw-ir/internal/ioc"
	"github.com/clawbook/openclaw-ir/internal/sigma"
)

// SampleRecords makes of a rule's sample the records that evidence like it would make: a command is read in all its layers,
// a text with what is encoded in it. category is that of the rule's logsource; "" lets the sample's own field Category,
// or else its other fields, decide.
func SampleRecords(list *ioc.List, category string, sample map[string][]string) []*sigma.Record {
	r := newRecorder(list, &world{})
	category = firstNonEmpty(category, first(sample["Category"]), categoryOf(sample))
	if command := first(sample["CommandLine"]); command != "" && category == CategoryProcess {
		r.n = 0
		r.command(&Event{Kind: KindExec, What: command, Asker: unknownAsker})
	} else {
		r.n = 0
		r.bare(category)
	}
	for _, rec := range r.records[:r.n] {
		for _, field := range slices.Sorted(maps.Keys(sample)) {
			for _, v := range sample[field] {
				r.sample(rec, field, v)
			}
		}
	}
	return r.records[:r.n]
}

// sample adds a value of a sample as the evidence's would be added.
func (r *recorder) sample(rec *sigma.Record, field, v string) {
	switch field {
	case "Category":
	case "CommandLine":
		if rec.Category != CategoryProcess {
			rec.Add(field, v, "")
		}
	case "TargetFilename":
		rec.Add(field, canonical(v), "")
	case "Content", "Arguments", "Message", "c-uri":
		r.texts(rec, field, v)
	default:
		rec.Add(field, v, "")
	}
}

func first(values []string) string {
	if len(values) == 0 {
		return ""
	}
	return values[0]
}

// categoryOf tells what kind of record a sample's fields are of.
func categoryOf(sample map[string][]string) string {
	for _, f := range []struct{ field, category string }{
		{"CommandLine", CategoryProcess},
		{"EventType", CategoryWrite},
		{"c-uri", CategoryProxy},
		{"Message", CategoryLog},
		{"Key", CategoryConfig},
		{"Pattern", CategorySequence},
		{"Check", CategoryIntegrity},
		{"Role", CategoryFile},
		{"Arguments", CategoryToolCall},
		{"Recipient", CategoryMessageOut},
		{"TargetFilename", CategoryAccess},
		{"Content", CategoryMessageIn},
	} {
		if sample[f.field] != nil {
			return f.category
		}
	}
	return ""
}
