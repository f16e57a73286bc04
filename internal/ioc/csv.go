package ioc

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
)

// columns are where in a row the parts of an indicator are; -1 is nowhere.
type columns struct{ value, typ, port, tier, source, name, toIDs int }

// Names of columns, the first that is there counts.
var (
	valueColumns  = strings.Fields("value indicator ioc ioc_value indicator_value observable artifact")
	typeColumns   = strings.Fields("type ioc_type indicator_type kind")
	nameColumns   = strings.Fields("name malware_printable malware threat comment description title")
	sourceColumns = strings.Fields("source reporter feed")
)

// csvHeader returns the row that names the columns, lower-case, or nil if data has none: the first that is no comment, or, as
// ThreatFox writes it, the last comment.
func csvHeader(data []byte) []string {
	comment := ""
	for line := range bytes.Lines(data[:min(len(data), maxLine)]) {
		text := strings.TrimSpace(string(line))
		if strings.HasPrefix(text, "#") {
			if strings.Contains(text, ",") {
				comment = strings.TrimSpace(strings.TrimLeft(text, "# "))
			}
			continue
		}
		if text == "" {
			continue
		}
		for _, header := range []string{text, comment} {
			if row := splitHeader(header); column(row, valueColumns) >= 0 {
				return row
			}
		}
		return nil
	}
	return nil
}

func splitHeader(text string) []string {
	r := csv.NewReader(strings.NewReader(text))
	r.LazyQuotes, r.TrimLeadingSpace = true, true
	row, err := r.Read()
	if err != nil || len(row) < 2 {
		return nil
	}
	for i := range row {
		row[i] = strings.ToLower(strings.TrimSpace(row[i]))
	}
	return row
}

func column(header, names []string) int {
	for _, name := range names {
		if i := slices.Index(header, name); i >= 0 {
			return i
		}
	}
	return -1
}

// readCSV reads rows after a header. Only the built-in list says its own tiers.
func readCSV(data []byte, builtin bool) ([]Indicator, []Problem, error) {
	header := csvHeader(data)
	if header == nil {
		return nil, nil, errors.New("no header with a column \"value\" or \"indicator\"")
	}
	cols := columns{
		column(header, valueColumns), column(header, typeColumns), column(header, []string{"port"}), column(header, []string{"tier"}),
		column(header, sourceColumns), column(header, nameColumns), column(header, []string{"to_ids"}),
	}
	r := csv.NewReader(bytes.NewReader(data))
	r.Comment, r.FieldsPerRecord, r.LazyQuotes, r.TrimLeadingSpace, r.ReuseRecord = '#', -1, true, true, true
	var c collector
	for {
		row, err := r.Read()
		if errors.Is(err, io.EOF) {
			return c.end()
		}
		if err != nil {
			c.problem("", "", fmt.Sprintf("the rest cannot be read: %v", err))
			return c.end()
		}
		line, _ := r.FieldPos(0)
		if !isHeader(row, header) {
			c.row(fmt.Sprintf("line %d", line), row, cols, builtin)
		}
	}
}

// isHeader reports whether a row is the header itself; exports that were joined have several.
func isHeader(row, header []string) bool {
	return slices.EqualFunc(row, header, func(a, b string) bool { return strings.EqualFold(strings.TrimSpace(a), b) })
}

func (c *collector) row(where string, row []string, cols columns, builtin bool) {
	at := func(i int) string {
		if i < 0 || i >= len(row) {
			return ""
		}
		return strings.TrimSpace(row[i])
	}
	value, kind := at(cols.value), strings.ToLower(at(cols.typ))
	if value == "" {
		return
	}
	if ids := strings.ToLower(at(cols.toIDs)); ids == "0" || ids == "false" {
		c.minor(where, value, "it is only context (to_ids)")
		return
	}
	c.typed(where, kind, value, func(ind *Indicator) {
		if port, err := strconv.ParseUint(at(cols.port), 10, 16); err == nil && ind.Port == 0 && (ind.Type == IP || ind.Type == Domain) {
			ind.Port = int(port)
		}
		ind.Name, ind.Source = at(cols.name), at(cols.source)
		if builtin {
			ind.Tier = at(cols.tier)
		}
	})
}

// typed adds a value of a type as some list calls it: MISP has types of two parts, "filename|sha256".
func (c *collector) typed(where, kind, value string, fill func(*Indicator)) {
	kind = strings.ToLower(strings.TrimSpace(kind))
	if kind == "" {
		c.add(where, "", value, fill)
		return
	}
	if typ, ok := typeNames[kind]; ok {
		if strings.HasSuffix(kind, "|port") {
			value = strings.Replace(value, "|", ":", 1)
		}
		c.add(where, typ, value, fill)
		return
	}
	first, second, two := strings.Cut(kind, "|")
	left, right, both := strings.Cut(value, "|")
	if !two || !both {
		c.problem(where, value, fmt.Sprintf("indicators of type %q are not supported", kind))
		return
	}
	// A file is known by its hash alone; its name could be any.
	if first == "filename" {
		c.typed(where, second, right, fill)
		return
	}
	c.typed(where, first, left, fill)
	c.typed(where, second, right, fill)
}
