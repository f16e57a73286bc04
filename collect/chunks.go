package collect

import (
	"crypto/hmac"
	"crypto/sha256"
	"hash"
	"io"
	"slices"
)

const (
	// chunkSize is how finely a snapshot sees what changed in a file, and pageSize in a database: a page of SQLite. Bytes.
	chunkSize = 64 << 10
	pageSize  = 4 << 10
	// maxChunks bounds the digests that are kept of one file: larger ones are seen less finely.
	maxChunks = 1 << 20
	// maxRanges bounds the ranges of one row. A reader takes rows of up to a megabyte.
	maxRanges = 1 << 14
	chunkSum  = 16 // bytes kept of a chunk's digest
)

// chunkOf is how finely a file of this size is seen.
func chunkOf(p string, size int64) int64 {
	chunk := int64(chunkSize)
	if isDatabase(p) {
		chunk = pageSize
	}
	for size/chunk > maxChunks {
		chunk *= 2
	}
	return chunk
}

// A chunker takes the digests of the chunks that are written to it. They are keyed, so that who reads the index cannot try
// contents against it.
type chunker struct {
	mac    hash.Hash
	size   int64 // of a chunk
	mark   int64 // where to take the digest of the chunk so far; -1 for nowhere
	off    int64
	whole  hash.Hash // of all that is written; nil where it is not wanted
	sums   []byte    // chunkSum bytes a chunk
	atMark []byte
}

func newChunker(key []byte, size, mark int64) *chunker {
	return &chunker{mac: hmac.New(sha256.New, key), size: size, mark: mark}
}

// Write never fails.
func (c *chunker) Write(p []byte) (int, error) {
	n := len(p)
	if c.whole != nil {
		c.whole.Write(p)
	}
	for len(p) > 0 {
		take := min(int64(len(p)), c.size-c.off%c.size)
		if c.off < c.mark {
			take = min(take, c.mark-c.off)
		}
		c.mac.Write(p[:take])
		c.off += take
		p = p[take:]
		if c.off == c.mark {
			c.atMark = c.mac.Sum(nil)[:chunkSum]
		}
		if c.off%c.size == 0 {
			c.end()
		}
	}
	return n, nil
}

func (c *chunker) end() {
	c.sums = append(c.sums, c.mac.Sum(nil)[:chunkSum]...)
	c.mac.Reset()
}

// finish ends the last chunk and returns the digests.
func (c *chunker) finish() []byte {
	if c.off%c.size != 0 {
		c.end()
	}
	return c.sums
}

// sumAt is the digest of chunk i.
func sumAt(sums []byte, i int64) []byte { return sums[i*chunkSum : (i+1)*chunkSum] }

// A change says where a file differs from what the chain holds of it.
type change struct {
	ranges [][2]int64
	// kept says that nothing that was there before is different, and first where the first difference lies.
	kept  bool
	first int64
	bytes int64 // in all ranges
}

// compare finds the ranges in which a file of size bytes, which c has seen, differs from one of base bytes. The mark of c is at
// base, so that a file that only grew is told from one of which the last chunk was changed.
func (c *chunker) compare(size int64, old []byte, base int64) change {
	d := change{kept: size >= base, first: min(size, base)}
	sums := c.finish()
	for i := int64(0); i*c.size < size; i++ {
		from, to := i*c.size, min((i+1)*c.size, size)
		switch {
		case from >= base:
		case to >= base && c.atMark != nil && slices.Equal(c.atMark, sumAt(old, i)):
			from = base
		case to < base && to-from < c.size: // the file ends in what was a longer chunk: whether it is the same is not known
			d.first = min(d.first, from)
		case to <= base && slices.Equal(sumAt(sums, i), sumAt(old, i)):
			continue
		default:
			d.kept, d.first = false, min(d.first, from)
		}
		d.add(from, to)
	}
	d.coarsen(c.size, size)
	return d
}

// add adds a range at the end.
func (d *change) add(from, to int64) {
	if from >= to {
		return
	}
	d.bytes += to - from
	if n := len(d.ranges); n > 0 && d.ranges[n-1][0]+d.ranges[n-1][1] == from {
		d.ranges[n-1][1] += to - from
		return
	}
	d.ranges = append(d.ranges, [2]int64{from, to - from})
}

// coarsen unites ranges until there are few enough to be written down.
func (d *change) coarsen(chunk, size int64) {
	for len(d.ranges) > maxRanges {
		chunk *= 2
		wide := change{}
		for _, r := range d.ranges {
			from, to := r[0]/chunk*chunk, min((r[0]+r[1]+chunk-1)/chunk*chunk, size)
			if n := len(wide.ranges); n > 0 {
				from = max(from, wide.ranges[n-1][0]+wide.ranges[n-1][1])
			}
			wide.add(from, to)
		}
		d.ranges, d.bytes = wide.ranges, wide.bytes
	}
}

// A rangeReader reads the ranges of a file, one after the other, then what lies behind size, and compares each chunk with what
// was seen of it before.
type rangeReader struct {
	src    io.ReaderAt
	ranges [][2]int64
	size   int64
	seen   *chunker
	check  *chunker // of the range being read
	first  int64    // chunk that the range begins in
	torn   bool     // a chunk is not what it was
	behind bool     // all ranges are read
}

func (r *rangeReader) Read(p []byte) (int, error) {
	if len(r.ranges) == 0 {
		r.behind = true
		n, err := r.src.ReadAt(p, r.size)
		r.size += int64(n)
		return n, err
	}
	cur := &r.ranges[0]
	if r.check == nil {
		if err := r.begin(cur[0]); err != nil {
			return 0, err
		}
	}
	n, err := r.src.ReadAt(p[:min(int64(len(p)), cur[1])], cur[0])
	r.check.Write(p[:n])
	cur[0], cur[1] = cur[0]+int64(n), cur[1]-int64(n)
	if n > 0 {
		err = nil // what comes after it is met by the next read
	}
	if cur[1] == 0 {
		r.end()
	}
	return n, err
}

// begin starts the digests of a range with what its first chunk holds before it.
func (r *rangeReader) begin(from int64) error {
	r.check = &chunker{mac: r.seen.mac, size: r.seen.size, mark: -1}
	r.check.mac.Reset()
	r.first = from / r.seen.size
	head := make([]byte, from%r.seen.size)
	if _, err := io.ReadFull(io.NewSectionReader(r.src, r.first*r.seen.size, int64(len(head))), head); err != nil {
		return err
	}
	r.check.Write(head)
	return nil
}

// end compares the chunks of a range that was read, and keeps the digests of what is stored.
func (r *rangeReader) end() {
	sums := r.check.finish()
	was := r.seen.sums[r.first*chunkSum:][:len(sums)]
	r.torn = r.torn || !slices.Equal(sums, was)
	copy(was, sums)
	r.ranges, r.check = r.ranges[1:], nil
}
