package analyze

import (
	"path"
	"slices"
	"strings"
)

// copies knows the words of instructions that came in, to recognize them where the agent writes them down or sends them on.
type copies struct {
	came    map[string]string // a run of words → the event that brought it
	written map[string]string // of those, which were written, and where
}

// maxCopied bounds the runs of words that are remembered.
const maxCopied = 200_000

func newCopies() copies { return copies{map[string]string{}, map[string]string{}} }

// copied notices a text with instructions that comes in, is written into a memory or skill, and is sent on (DETECTIONS, MEM-007).
func (d *derivers) copied(e *Event) {
	c := &d.copies
	switch {
	case isInput(e):
		for _, h := range e.hits {
			if family(h.rule) == "INJ" {
				c.remember(h.excerpt, e.ID())
			}
		}
	case e.Kind == KindWrite || e.Kind == KindEdit || e.Kind == KindExec:
		for _, v := range e.values {
			if from := c.came[strings.ToLower(v)]; from != "" {
				c.written[strings.ToLower(v)] = e.ID()
			}
		}
	case e.Kind == KindMessage && e.Tool != "" || e.Kind == KindSpawn:
		for _, v := range e.values {
			if where := c.written[strings.ToLower(v)]; where != "" {
				d.emit("replication", e.Session+e.What, e, Detail{"CameIn", c.came[strings.ToLower(v)]}, Detail{"WrittenBy", where}, Detail{"Words", v})
			}
		}
	}
}

// remember keeps every run of words of a text, as values have them.
func (c *copies) remember(text, event string) {
	words := strings.Fields(strings.ToLower(text))
	for i := 0; i+shingle <= len(words) && len(c.came) < maxCopied; i++ {
		run := strings.Join(words[i:i+shingle], " ")
		if c.came[run] == "" {
			c.came[run] = event
		}
	}
}

// rewritten notices a memory or identity file that is replaced by one of less than half its size (DETECTIONS, MEM-006).
func (d *derivers) rewritten(e *Event) {
	if e.Kind != KindWrite && e.Kind != KindEdit || !isMemory(e.What) || e.Bytes == 0 {
		return
	}
	before := d.sizes[e.What]
	if e.Kind == KindWrite && e.Bytes*2 < before {
		d.emit("memory-mass-rewrite", e.What+e.ID(), e, Detail{"TargetFilename", canonical(e.What)}, Detail{"Before", number(int(before))}, Detail{"After", number(int(e.Bytes))})
	}
	if e.Kind == KindWrite {
		d.sizes[e.What] = e.Bytes
	} else {
		d.sizes[e.What] = before + e.Bytes
	}
}

// isMemory reports a file in which an agent keeps who it is or what it remembers.
func isMemory(file string) bool {
	base := path.Base(file)
	return base == "MEMORY.md" || slices.Contains(identityFiles, base) || strings.Contains(file, "/memory/") && strings.HasSuffix(base, ".md")
}
