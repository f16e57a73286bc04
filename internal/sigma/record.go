package sigma

// A Record is what rules are matched against: something that happened, or something that was found. The zero Record
// is ready to use; Reset lets one be used again.
type Record struct {
	Category string // Sigma's name for the kind of record: process_creation, file_event, …
	values   []value
}

type value struct{ field, text, layer string }

// Reset empties the record and gives it a category.
func (r *Record) Reset(category string) {
	r.Category = category
	clear(r.values)
	r.values = r.values[:0]
}

// Add adds one value of a field. The layer says how the text was come by ("raw", "decoded", …) and is repeated in
// the match.
func (r *Record) Add(field, text, layer string) {
	r.values = append(r.values, value{field, text, layer})
}

// Get returns the field's first value, "" if it has none.
func (r *Record) Get(field string) string {
	for i := range r.values {
		if r.values[i].field == field {
			return r.values[i].text
		}
	}
	return ""
}

// Values returns all values of the field in the order they were added.
func (r *Record) Values(field string) []string {
	var texts []string
	for i := range r.values {
		if r.values[i].field == field {
			texts = append(texts, r.values[i].text)
		}
	}
	return texts
}
