package sqlite

import "encoding/binary"

// A Column says which types of value a column may hold, in the search for records.
type Column struct{ Null, Int, Text, Blob bool }

// A Value is one value of a record that was found. Cut says that its end is not there.
type Value struct {
	Type  Type
	Int   int64
	Bytes []byte // of a text or blob
	Cut   bool
}

// A Found is a record that was found outside the tables.
type Found struct {
	Rowid  int64 // 0 if it was overwritten
	Values []Value
}

// maxSerial is the longest value, in bytes, that a record which is found may claim.
const maxSerial = MaxValue

// FindRecords looks in b for records (https://sqlite.org/fileformat2.html#record_format) that have exactly these
// columns, and yields each one. The first four bytes of a deleted cell are overwritten, so it goes by the types of the
// values and not by the lengths before them; the caller must judge the values. A record whose last values are missing
// or lie on overflow pages is cut. Values point into b and are valid until yield returns.
func FindRecords(b []byte, columns []Column, yield func(Found) bool) {
	if len(columns) == 0 {
		return
	}
	values := make([]Value, len(columns))
	for p := 0; p+len(columns) <= len(b); p++ {
		end, ok := readTypes(b, p, columns, values)
		if !ok || !readValues(b, end, values) {
			continue
		}
		if !yield(Found{Rowid: rowidBefore(b, p, end-p), Values: values}) {
			return
		}
	}
}

// readTypes reads the serial types at p. It leaves the length of each value in Int.
func readTypes(b []byte, p int, columns []Column, values []Value) (end int, ok bool) {
	for i, c := range columns {
		t, n := varint(b[p:])
		if n == 0 {
			return 0, false
		}
		p += n
		v := Value{Type: Null}
		switch {
		case t == 0:
			ok = c.Null
		case t <= 6 || t == 8 || t == 9:
			v.Type, v.Int, ok = Integer, int64(t), c.Int
		case t >= 13 && t%2 == 1:
			v.Type, v.Int, ok = Text, int64((t-13)/2), c.Text && t < maxSerial
		case t >= 12:
			v.Type, v.Int, ok = Blob, int64((t-12)/2), c.Blob && t < maxSerial
		default:
			ok = false
		}
		if !ok {
			return 0, false
		}
		values[i] = v
	}
	return p, true
}

// intSizes are the lengths of integers by serial type.
var intSizes = [...]int{0, 1, 2, 3, 4, 6, 8, 0, 0, 0}

// readValues fills in the values. It says false if not even the first begins inside b.
func readValues(b []byte, p int, values []Value) bool {
	for i := range values {
		v := &values[i]
		left := b[min(p, len(b)):]
		switch v.Type {
		case Integer:
			t := v.Int
			size := intSizes[t]
			v.Int = t - 8 // types 8 and 9 are the numbers 0 and 1
			if t < 8 {
				v.Int = 0
				if v.Cut = len(left) < size; !v.Cut {
					v.Int = signed(left[:size])
				}
			}
			p += size
		case Text, Blob:
			size := int(v.Int)
			v.Cut = len(left) < size
			v.Bytes, v.Int = left[:min(size, len(left))], 0
			p += size
		}
		if i == 0 && v.Cut {
			return false
		}
	}
	return true
}

// signed reads a signed number of up to 8 bytes.
func signed(b []byte) (n int64) {
	if len(b) > 0 && b[0] >= 0x80 {
		n = -1
	}
	for _, c := range b {
		n = n<<8 | int64(c)
	}
	return n
}

// varint reads SQLite's variable-length integer; n is 0 if it does not end inside b.
func varint(b []byte) (v uint64, n int) {
	for i, c := range b {
		if i == 8 {
			return v<<8 | uint64(c), 9
		}
		v = v<<7 | uint64(c&0x7f)
		if c < 0x80 {
			return v, i + 1
		}
	}
	return 0, 0
}

// rowidBefore reads the row's number that stands before the header length, if both are still there. The payload's
// length before it ends in a byte below 0x80, which delimits it.
func rowidBefore(b []byte, p, types int) int64 {
	if p < 2 || int(b[p-1]) != types+1 || b[p-2] >= 0x80 {
		return 0
	}
	start := p - 2
	for start > 0 && start > p-10 && b[start-1] >= 0x80 {
		start--
	}
	v, _ := varint(b[start : p-1])
	return int64(v)
}

// WriterVersion reads from a header which SQLite wrote the database last, as 3053004 for 3.53.4; 0 if it is none.
func WriterVersion(head []byte) uint32 {
	if len(head) < headerSize {
		return 0
	}
	return binary.BigEndian.Uint32(head[96:])
}
