package main

import (
	"bytes"
	"encoding/json"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"testing"

	"github.com/clawbook/openclaw-ir/analyze"
	"github.com/clawbook/openclaw-ir/internal/console"
	"github.com/clawbook/openclaw-ir/internal/inerttest"
	"github.com/google/go-cmp/cmp"
)

// elsewhere is what commands print for programs of other makes.
type elsewhere struct {
	lines  []string            // JSON, of every command
	events map[string][]string // by the command line without the format: its events as JSON
	tables map[string]string   // and as CSV
}

func newElsewhere() elsewhere {
	return elsewhere{events: map[string][]string{}, tables: map[string]string{}}
}

// strictJSON has Python read a line of JSON at a time, and print each as it understands it. A name twice and a number that is none are
// errors, as is what is not UTF-8.
const strictJSON = `
import json, sys
def unique(pairs):
    assert len(dict(pairs)) == len(pairs), pairs
    return dict(pairs)
for line in sys.stdin.buffer.read().decode("utf-8").split("\n")[:-1]:
    print(json.dumps(json.loads(line, object_pairs_hook=unique, parse_constant=lambda name: 1 / 0)))
`

// strictCSV has Python read a table, and print each row as a list.
const strictCSV = `
import csv, io, json, sys
for row in csv.reader(io.TextIOWrapper(sys.stdin.buffer, encoding="utf-8", newline=""), strict=True):
    print(json.dumps(row))
`

// readBy gives a program a text, and returns the lines that it prints.
func readBy(t *testing.T, text string, argv ...string) []string {
	t.Helper()
	cmd := exec.Command(argv[0], argv[1:]...)
	var errs bytes.Buffer
	cmd.Stdin, cmd.Stderr = strings.NewReader(text), &errs
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v\n%s", argv[0], err, &errs)
	}
	return strings.Split(strings.TrimSuffix(string(out), "\n"), "\n")
}

// readElsewhere has programs of other makes read what was printed and stored: as many values, and the same.
func (x *inertRun) readElsewhere(t *testing.T) {
	manifests, err := filepath.Glob(x.dir + "/new*/manifest.jsonl")
	if err != nil || len(manifests) == 0 {
		t.Error("no bundle was opened", err)
	}
	for _, name := range manifests {
		text, err := os.ReadFile(name)
		x.must(err)
		x.lines = append(x.lines, inerttest.JSONLines(t, name, string(text))...)
	}
	for _, argv := range [][]string{{"jq", "-c", "."}, {"python3", "-c", strictJSON}} {
		t.Run(argv[0], func(t *testing.T) {
			if _, err := exec.LookPath(argv[0]); err != nil {
				t.Skip(err)
			}
			t.Logf("%d lines", len(x.lines))
			got := readBy(t, strings.Join(x.lines, "\n")+"\n", argv...)
			if len(got) != len(x.lines) {
				t.Fatalf("%d values of %d lines", len(got), len(x.lines))
			}
			for i, line := range x.lines {
				if want, v := valueOf(t, line), valueOf(t, got[i]); !reflect.DeepEqual(want, v) {
					t.Errorf("read otherwise: %.300s\n%s", line, cmp.Diff(want, v))
				}
			}
		})
	}
	t.Run("csv", x.tablesElsewhere)
}

func valueOf(t *testing.T, line string) (v any) {
	t.Helper()
	if err := json.Unmarshal([]byte(line), &v); err != nil {
		t.Fatalf("%v: %.300s", err, line)
	}
	return v
}

// tablesElsewhere has Python read the tables, and wants each row to be the event that the JSON has.
func (x *inertRun) tablesElsewhere(t *testing.T) {
	if _, err := exec.LookPath("python3"); err != nil {
		t.Skip(err)
	}
	for line, table := range x.tables {
		var rows [][]string
		for _, row := range readBy(t, table, "python3", "-c", strictCSV) {
			var cells []string
			x.must(json.Unmarshal([]byte(row), &cells))
			rows = append(rows, cells)
		}
		events := x.events[line]
		if len(rows) != len(events)+1 || len(events) == 0 {
			t.Fatalf("%q: %d rows of %d events", line, len(rows), len(events))
		}
		t.Logf("%q: %d rows", line, len(rows))
		for i, row := range rows[1:] {
			if diff := cmp.Diff(cellsOf(t, events[i], rows[0]), strings.Split(strings.ReplaceAll(strings.Join(row, "\n"), "'", ""), "\n")); diff != "" {
				t.Errorf("%q: row %d is not the event: %s", line, i+1, diff)
			}
		}
	}
}

// cellsOf are the cells that a table with these columns has of an event, but for the apostrophes before what a spreadsheet would compute.
func cellsOf(t *testing.T, event string, columns []string) (cells []string) {
	t.Helper()
	var e analyze.Record
	record := valueOf(t, event).(map[string]any)
	if err := json.Unmarshal([]byte(event), &e); err != nil {
		t.Fatal(err)
	}
	maps.Copy(record, record["result"].(map[string]any))
	record["owner"], record["asker"] = string(e.Asker.Owner), e.Asker.String()
	for _, name := range columns {
		cell := ""
		switch v := record[name].(type) {
		case nil:
			if name == "bytes" || name == "duration_ms" {
				cell = "0"
			}
		case float64:
			cell = strconv.FormatFloat(v, 'f', -1, 64)
		case string:
			cell = console.Escape(v)
		case []any: // the marks
			cell = console.Escape(strings.Join(e.Marks, " "))
		}
		cells = append(cells, strings.ReplaceAll(cell, "'", ""))
	}
	return cells
}
