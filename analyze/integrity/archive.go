package integrity

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"regexp"
	"strings"

	"github.com/clawbook/openclaw-ir/internal/openclaw"
	"github.com/clawbook/openclaw-ir/internal/sqlite"
)

// archiveRows checks the archives that the database holds of deleted, reset and cold sessions against the digests
// beside them, and each against its file.
func (st *store) archiveRows() error {
	if st.d.Has("session_transcript_archives", "session_id", "reason", "archive_blob", "archive_sha256", "archive_name", "created_at", "published_at") {
		err := st.each("SELECT session_id, reason, archive_sha256, archive_name, created_at, published_at, archive_blob FROM session_transcript_archives", st.archived)
		if err != nil {
			return err
		}
	}
	if !st.d.Has("session_transcript_cold_archives", "session_id", "archive_sha256", "archive_name", "event_count", "archived_at", "archive_blob") {
		return nil
	}
	return st.each("SELECT session_id, archive_sha256, archive_name, event_count, archived_at, archive_blob FROM session_transcript_cold_archives", st.cold)
}

func (st *store) archived(row *sqlite.Row) {
	id, want, name := text(row, 0), text(row, 2), path.Base(text(row, 3))
	s := st.c.session(id, st.agent)
	s.archivedAt, s.reason = row.Int(4), short(text(row, 1))
	s.name("session_transcript_archives", true, row.Int(4))
	sum := sha256.Sum256(row.Bytes(6))
	st.c.count("INT-007", 1)
	f := Finding{Check: "INT-007", Level: critical, Path: st.d.Path, Session: id, Time: ms(row.Int(4))}
	if hex.EncodeToString(sum[:]) != want {
		f.Title, f.Detail = "an archived transcript is not what its digest says", "the archive in the database was changed, or its digest"
		st.c.add(f)
	}
	file := path.Join(st.sessionsDir(), name)
	have, err := digestOf(st.c.fsys, file)
	f.Path = file
	switch {
	case openclaw.IsAbsent(err) && row.Null(5):
	case openclaw.IsAbsent(err):
		f.Level, f.Title, f.Detail = medium, "the file of an archived transcript is missing", "the database says that it was written; the archive is there in the database"
		f.Benign = "old archives are removed by session.maintenance"
		st.c.add(f)
	case err != nil:
		st.c.gap(openclaw.Gap{Path: file, What: openclaw.Cause(err)})
	case have != want:
		f.Title, f.Detail = "the file of an archived transcript is not what its digest says", "the file was changed after it was archived"
		st.c.add(f)
	}
}

func (st *store) cold(row *sqlite.Row) {
	id, want, name := text(row, 0), text(row, 1), path.Base(text(row, 2))
	st.c.session(id, st.agent).name("session_transcript_cold_archives", true, row.Int(4))
	st.c.count("INT-007", 1)
	f := Finding{Check: "INT-007", Level: critical, Path: st.d.Path, Session: id, Time: ms(row.Int(4))}
	st.c.session(id, st.agent).coldCount = row.Int(3)
	if !row.Null(5) {
		sum := sha256.Sum256(row.Bytes(5))
		if hex.EncodeToString(sum[:]) != want {
			f.Title, f.Detail = "a cold transcript is not what its digest says", "the archive in the database was changed, or its digest"
			st.c.add(f)
		}
		return
	}
	f.Path = path.Join(st.sessionsDir(), "cold", name)
	have, err := digestOf(st.c.fsys, f.Path)
	switch {
	case openclaw.IsAbsent(err):
		f.Title, f.Detail = "a cold transcript is missing", "the database names the file; the session has no other transcript"
	case err != nil:
		st.c.gap(openclaw.Gap{Path: f.Path, What: openclaw.Cause(err)})
		return
	case have != want:
		f.Title, f.Detail = "a cold transcript is not what its digest says", "the file was changed after it was archived"
	default:
		return
	}
	st.c.add(f)
}

func (st *store) sessionsDir() string {
	for _, a := range st.c.in.Agents {
		if a.ID == st.agent {
			return a.Sessions
		}
	}
	return ""
}

// maxDigested bounds a file whose digest is taken, in bytes: OpenClaw keeps all of its transcripts below 10 GB.
const maxDigested = 1 << 30

// digestOf is the SHA-256 of a file, in hex.
func digestOf(fsys fs.FS, hostPath string) (string, error) {
	return openclaw.Digest(fsys, hostPath, maxDigested)
}

var (
	coldName = regexp.MustCompile(`^([0-9a-f]{64})\.jsonl\.zst$`)
	hexSum   = regexp.MustCompile(`"([0-9a-f]{64})"`)
)

// archives checks the files whose digest stands elsewhere: cold transcripts, which bear it as their name, and the
// originals of migrated ones, whose digests stand in the manifests of the migration.
func (c *checker) archives() {
	manifests := c.manifestSums()
	for _, a := range c.in.Agents {
		c.coldFiles(path.Join(a.Sessions, "cold"))
		c.imported(path.Join(path.Dir(a.Sessions), "session-sqlite-import-archive"), manifests)
	}
	for _, s := range c.sessions {
		if s.coldCount > 0 && s.has(openclaw.FormCold) && s.coldEvents != s.coldCount {
			c.add(Finding{
				Check: "INT-007", Level: critical, Title: "a cold transcript has another number of events than was recorded", Session: s.id, Path: s.path(),
				Detail: fmt.Sprintf("%d events, the database says %d", s.coldEvents, s.coldCount),
			})
		}
	}
}

func (c *checker) coldFiles(dir string) {
	entries, _ := fs.ReadDir(c.fsys, openclaw.FSName(dir))
	for _, e := range entries {
		m := coldName.FindStringSubmatch(e.Name())
		if m == nil {
			continue
		}
		c.count("INT-007", 1)
		file := path.Join(dir, e.Name())
		have, err := digestOf(c.fsys, file)
		if err != nil {
			c.gap(openclaw.Gap{Path: file, What: openclaw.Cause(err)})
		} else if have != m[1] {
			c.add(Finding{Check: "INT-007", Level: critical, Title: "a cold transcript is not what its name says", Path: file, Detail: "its name is its digest; the content has another"})
		}
	}
}

// maxManifest bounds a migration's manifest, in bytes.
const maxManifest = 32 << 20

// manifestSums are all digests that manifests of migrations name; nil if there is none.
func (c *checker) manifestSums() map[string]bool {
	dir := path.Join(c.in.StateDir, "session-sqlite-migration-runs")
	entries, err := fs.ReadDir(c.fsys, openclaw.FSName(dir))
	if err != nil {
		return nil
	}
	sums := map[string]bool{}
	for _, e := range entries {
		text, err := c.small(path.Join(dir, e.Name()))
		if err != nil {
			c.gap(openclaw.Gap{Path: path.Join(dir, e.Name()), What: openclaw.Cause(err)})
		}
		for _, m := range hexSum.FindAllSubmatch(text, -1) {
			sums[string(m[1])] = true
		}
	}
	return sums
}

var errTooLong = errors.New("too long to be read whole")

// small reads a file of bounded size.
func (c *checker) small(hostPath string) ([]byte, error) {
	f, err := c.fsys.Open(openclaw.FSName(hostPath))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxManifest+1))
	if err == nil && len(text) > maxManifest {
		err = errTooLong
	}
	return text, err
}

func (c *checker) imported(dir string, sums map[string]bool) {
	entries, _ := fs.ReadDir(c.fsys, openclaw.FSName(dir))
	for _, e := range entries {
		if !strings.Contains(e.Name(), ".imported-") || !e.Type().IsRegular() {
			continue
		}
		if sums == nil {
			c.rep.undecided("INT-007", "originals of migrated transcripts: no manifest of the migration is there")
			return
		}
		c.count("INT-007", 1)
		file := path.Join(dir, e.Name())
		have, err := digestOf(c.fsys, file)
		if err != nil {
			c.gap(openclaw.Gap{Path: file, What: openclaw.Cause(err)})
		} else if !sums[have] {
			c.add(Finding{
				Check: "INT-007", Level: high, Title: "the original of a migrated transcript is not what the migration recorded", Path: file,
				Detail: "no manifest of a migration names its digest",
			})
		}
	}
}
