package analyze

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"

	"github.com/clawbook/openclaw-ir/internal/jsonl"
	"github.com/clawbook/openclaw-ir/internal/openclaw"
	"github.com/clawbook/openclaw-ir/internal/sigma"
)

// Ledgers of what was installed and used are compared with what lies there. Only what can be proved is told: a digest in a
// form that is not known, and a file that is not in the evidence, say nothing.

// maxInstalls bounds how many rows of one ledger are compared.
const maxInstalls = 10_000

// maxLink is how much is read of a channel's credentials. Bytes.
const maxLink = 1 << 20

// installs compares an installation's ledgers with what lies there.
func (x *investigation) installs(ctx context.Context, m *sigma.Matcher, r *recorder, in *openclaw.Installation) error {
	_, err := openclaw.OpenDatabaseFunc(x.fsys, in.StateDB(), func(d *openclaw.Database) error {
		if err := x.used(ctx, m, r, d); err != nil {
			return err
		}
		return x.placed(ctx, m, r, d)
	})
	if err != nil && ctx.Err() == nil && !openclaw.IsAbsent(err) {
		x.report.Coverage.gap(openclaw.Gap{Path: in.StateDB(), What: "comparing what was installed: " + err.Error()})
	}
	x.linked(m, r, in)
	return ctx.Err()
}

// sequenceRecord begins the record of a pattern.
func sequenceRecord(r *recorder, pattern string, fields ...Detail) *sigma.Record {
	r.n = 0
	rec := r.bare(CategorySequence)
	rec.Add("Pattern", pattern, "")
	for _, f := range fields {
		if f.Text != "" {
			rec.Add(f.Name, f.Text, "")
		}
	}
	return rec
}

// used matches the skills that were used with the known-malicious ones: the ledger outlives the skill. It tells no publisher.
func (x *investigation) used(ctx context.Context, m *sigma.Matcher, r *recorder, d *openclaw.Database) error {
	const table = "skill_usage"
	if !d.Has(table, "skill_file", "skill_key", "skill_name", "skill_source", "first_used_at_ms", "use_count") {
		return nil
	}
	query := fmt.Sprintf("SELECT substr(skill_file, 1, 4096), substr(skill_key, 1, 256), substr(skill_name, 1, 256), substr(skill_source, 1, 256), first_used_at_ms, use_count FROM %s NOT INDEXED LIMIT %d", table, maxInstalls+1)
	n := 0
	for row, err := range d.Query(ctx, query) {
		if err != nil {
			return err
		}
		if n++; n > maxInstalls {
			x.report.Coverage.gap(openclaw.Gap{Path: d.Path, What: fmt.Sprintf("table %s: only its first %d rows were looked at", table, maxInstalls)})
			break
		}
		file := string(row.Text(0))
		for _, slug := range []string{path.Base(path.Dir(file)), string(row.Text(1)), string(row.Text(2))} {
			rec := sequenceRecord(r, "skill-usage", Detail{"Slug", slug}, Detail{"TargetFilename", canonical(file)})
			publisher, name, ok := strings.Cut(slug, "/")
			if !ok {
				publisher, name = "", slug
			}
			if r.skill(rec, publisher, name, ""); rec.Get("Ioc") == "" {
				continue
			}
			x.matched(m, rec, Finding{
				Sink: SinkRest, Path: file, Time: row.Int(4), Field: "Slug",
				Excerpt: excerpt(fmt.Sprintf("skill %q from %q was used %d times, first then; now only the name tells it", slug, row.Text(3), row.Int(5)), 0, excerptBytes),
			})
			break
		}
	}
	return nil
}

// A placedFile is a file of a skill or plugin whose digest at its installation is not that which it has.
type placedFile struct {
	file, slug, want, got string
	at                    int64
}

// placed compares the skills that a package put into a workspace with the digests that its installation recorded. They are
// taken for those of the files' bytes only if one of them proves it. What else lies in a workspace is there to be edited.
func (x *investigation) placed(ctx context.Context, m *sigma.Matcher, r *recorder, d *openclaw.Database) error {
	const table = "claw_workspace_files"
	if !d.Has(table, "target_path", "workspace", "content_digest", "updated_at_ms") {
		return nil
	}
	query := fmt.Sprintf("SELECT substr(target_path, 1, 4096), substr(workspace, 1, 4096), substr(content_digest, 1, 256), updated_at_ms FROM %s NOT INDEXED LIMIT %d", table, maxInstalls+1)
	n, proved := 0, false
	var differ []placedFile
	for row, err := range d.Query(ctx, query) {
		if err != nil {
			return err
		}
		if n++; n > maxInstalls {
			x.report.Coverage.gap(openclaw.Gap{Path: d.Path, What: fmt.Sprintf("table %s: only its first %d rows were looked at", table, maxInstalls)})
			break
		}
		p := placedFile{file: string(row.Text(0)), want: hexDigest(string(row.Text(2))), at: row.Int(3)}
		if !path.IsAbs(p.file) {
			p.file = path.Join(string(row.Text(1)), p.file)
		}
		p.got = x.digestOf(p.file)
		switch p.slug = slugOf(p.file, "", "skill"); {
		case p.want == "" || p.got == "":
		case p.got == p.want:
			proved = true
		case p.slug != "":
			differ = append(differ, p)
		}
	}
	for _, p := range differ {
		if !proved {
			break
		}
		rec := sequenceRecord(r, "changed-after-install", Detail{"TargetFilename", canonical(p.file)}, Detail{"Slug", p.slug}, Detail{"Installed", p.want}, Detail{"Found", p.got})
		x.matched(m, rec, Finding{Sink: SinkRest, Path: p.file, Time: p.at, Field: "TargetFilename", Excerpt: "installed as sha256 " + p.want + ", is now " + p.got})
	}
	return nil
}

// hexDigest reads a SHA-256 as hex, with or without its name before it; "" for any other form.
func hexDigest(s string) string {
	s = strings.ToLower(strings.TrimPrefix(s, "sha256:"))
	if b, err := hex.DecodeString(s); err != nil || len(b) != sha256.Size {
		return ""
	}
	return s
}

// digestOf takes the digest of a regular file; "" if it is none, or is not there.
func (x *investigation) digestOf(file string) string {
	info, err := fs.Lstat(x.fsys, openclaw.FSName(file))
	if err != nil || !info.Mode().IsRegular() || info.Size() > maxRestHash {
		x.unreadable(file, err)
		return ""
	}
	f, err := x.fsys.Open(openclaw.FSName(file))
	if err != nil {
		x.unreadable(file, err)
		return ""
	}
	defer f.Close()
	sum := sha256.New()
	if _, err := io.Copy(sum, io.LimitReader(f, maxRestHash)); err != nil {
		x.unreadable(file, err)
		return ""
	}
	return hex.EncodeToString(sum.Sum(nil))
}

// linked compares WhatsApp's credentials with their last copy: the registration id and the public noise key are made anew
// only when a phone is linked anew. Neither is told.
func (x *investigation) linked(m *sigma.Matcher, r *recorder, in *openclaw.Installation) {
	dir := path.Join(in.StateDir, "credentials", "whatsapp")
	accounts, err := fs.ReadDir(x.fsys, openclaw.FSName(dir))
	x.unreadable(dir, err)
	if len(accounts) > maxHosts {
		x.report.Coverage.gap(openclaw.Gap{Path: dir, What: fmt.Sprintf("only its first %d accounts were compared with their copies", maxHosts)})
	}
	for _, a := range accounts[:min(len(accounts), maxHosts)] {
		now := path.Join(dir, a.Name(), "creds.json")
		id, key, changed := x.link(now)
		oldID, oldKey, _ := x.link(now + ".bak")
		if (id == "" || oldID == "" || id == oldID) && (key == "" || oldKey == "" || key == oldKey) {
			continue
		}
		rec := sequenceRecord(r, "session-relinked", Detail{"PairedChannel", "whatsapp"}, Detail{"TargetFilename", canonical(now)})
		x.matched(m, rec, Finding{Sink: SinkRest, Path: now, Time: changed, Field: "PairedChannel", Excerpt: "its registration is another than that of creds.json.bak: the phone was linked anew, or the session replaced"})
	}
}

// link reads what tells one link of a phone from another, and when the file was changed.
func (x *investigation) link(file string) (id, key string, changed int64) {
	info, err := fs.Lstat(x.fsys, openclaw.FSName(file))
	if err != nil || !info.Mode().IsRegular() || info.Size() > maxLink {
		x.unreadable(file, err)
		return "", "", 0
	}
	text, err := fs.ReadFile(x.fsys, openclaw.FSName(file))
	if err != nil || isJSON(bytes.TrimSpace(text)) != nil {
		return "", "", 0
	}
	var p jsonl.Parser
	p.Reset(bytes.TrimSpace(text))
	for name := range p.Members() {
		switch string(name) {
		case "registrationId":
			id = string(p.Raw())
		case "noiseKey":
			key = value{raw: p.Raw()}.member("public").member("data").text()
		}
	}
	return id, key, info.ModTime().UnixMilli()
}
