package collect

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"filippo.io/age"

	"github.com/clawbook/openclaw-ir/internal/openclaw"
)

// ChainOptions say what VerifyChain checks. The zero value checks seals and ciphertext.
type ChainOptions struct {
	// Signer, if given, is the fingerprint ("SHA256:…") of the key whose chain it is. Otherwise all links must be of one signer.
	Signer string
	// Head, if its Seal is given, is a link that is known from elsewhere and must be part of the chain; HeadFrom says from where.
	Head     ChainHead
	HeadFrom string
	// Quick leaves the content of the bundles alone: seals and sizes only.
	Quick bool
	// Identities, if given, open the bundles, and every file of them is checked too. Not with Quick.
	Identities []age.Identity
	// Recorded, if given, says whether there is a record that retention removed a bundle. Without it that is not known.
	Recorded func(bundle string) bool
	// Now is the time that no seal should be later than; time.Now if zero.
	Now time.Time
	// Total and Progress, if given, are told how many bytes there are to read, and how many more were read.
	Total    func(bytes int64)
	Progress func(bytes int64)
}

// ErrNoChain says that no snapshot is where a chain was looked for.
var ErrNoChain = errors.New("no snapshot is here")

// maxLinks bounds how many seals, and how many bundles, are looked at. It is eleven years of one an hour.
const maxLinks = 100_000

// VerifyChain checks the chains of snapshots whose seals lie on a shelf, and their bundles where those are there: that one key signed
// them, that each seal names the one before, that no number is missing or there twice, that time runs forward, that the ciphertext is
// what was sealed, and that what is there suffices to restore what it should. What does not hold is in the report; the error is not
// nil only if ctx ended, the shelf could not be listed or has no snapshot (ErrNoChain), or no identity opens any (ErrWrongKey).
func VerifyChain(ctx context.Context, shelf Shelf, o ChainOptions) (*ChainReport, error) {
	if o.Now.IsZero() {
		o.Now = time.Now()
	}
	v := &chainVerifier{ctx: ctx, shelf: shelf, o: o, report: &ChainReport{Digests: !o.Quick}, bundles: map[string]int64{}}
	if err := v.list(); err != nil {
		return v.report, fmt.Errorf("listing: %w", err)
	}
	if err := v.readSeals(); err != nil {
		return v.report, err
	}
	if r := v.report; len(v.links)+len(r.Problems)+len(r.Unread) == 0 && o.Head.Seal == "" {
		return r, ErrNoChain
	}
	parts := v.parts()
	for _, p := range parts {
		p.check()
	}
	v.anchor(parts)
	v.unsealed()
	var err error
	if !o.Quick {
		err = v.contents(parts)
	}
	for _, p := range parts {
		v.report.Chains = append(v.report.Chains, p.ChainPart)
	}
	return v.report, err
}

type chainVerifier struct {
	ctx     context.Context
	shelf   Shelf
	o       ChainOptions
	report  *ChainReport
	bundles map[string]int64 // name and size
	seals   []string
	links   []*linkSeal
	sealed  map[string]bool // bundles that a seal is about

	wrongKey bool // a bundle was met that no key opens
}

// A linkSeal is what is kept of a seal that was read and whose signature holds.
type linkSeal struct {
	Link
	file, digest string
	prev         string
	signer, host string
	bundle       string // the file that the seal lies beside
	created      time.Time
	size         int64
	here         bool // the bundle is there
}

// list finds out what lies on the shelf.
func (v *chainVerifier) list() error {
	for e, err := range v.shelf.List(v.ctx) {
		if err != nil {
			return err
		}
		switch seal := isSealName(e.Name); {
		case !seal && !isBundleName(e.Name):
			v.report.Others++
		case e.Problem != "":
			v.report.unread(0, e.Name, "%s", e.Problem)
		case seal && len(v.seals) < maxLinks:
			v.seals = append(v.seals, e.Name)
		case !seal && len(v.bundles) < maxLinks:
			v.bundles[e.Name] = e.Size
		default:
			v.report.unread(0, e.Name, "only %d seals and as many bundles are looked at", maxLinks)
		}
	}
	slices.Sort(v.seals)
	slices.SortFunc(v.report.Unread, func(a, b ChainProblem) int { return strings.Compare(a.File, b.File) })
	return nil
}

func isSealName(name string) bool   { return strings.HasSuffix(name, BundleSuffix+SealSuffix) }
func isBundleName(name string) bool { return strings.HasSuffix(name, BundleSuffix) }

// readSeals reads every seal and keeps those of links whose signature holds.
func (v *chainVerifier) readSeals() error {
	v.sealed = map[string]bool{}
	for _, name := range v.seals {
		if err := v.ctx.Err(); err != nil {
			return err
		}
		bundle := strings.TrimSuffix(name, SealSuffix)
		v.sealed[bundle] = true
		file, err := readShelf(v.ctx, v.shelf, name, maxSealSize)
		if err != nil {
			v.report.unread(0, name, "%s", openclaw.Cause(err))
			continue
		}
		s, err := ParseSeal(file)
		switch {
		case err != nil:
			v.report.problem("seal", 0, name, "%v", err)
		case s.Link == nil:
			v.report.remark("other", 0, name, "the seal of a bundle that is no snapshot; collect verify checks it")
		default:
			v.link(name, bundle, s, SealDigest(file))
		}
	}
	return v.ctx.Err()
}

func (v *chainVerifier) link(name, bundle string, s *SignedSeal, digest string) {
	if err := s.VerifySignature(); err != nil {
		v.report.problem("signature", s.Link.Number, name, "%v", err)
		return
	}
	v.report.Seals++
	l := &linkSeal{
		Link: *s.Link, file: name, digest: digest, prev: clipped(s.PrevSeal), signer: s.Signer(), host: clipped(s.Host),
		bundle: bundle, created: s.Created, size: s.Size,
	}
	_, l.here = v.bundles[bundle]
	if s.Bundle != bundle {
		v.report.remark("name", l.Number, name, "was sealed as %.200q", s.Bundle)
	}
	v.links = append(v.links, l)
}

// clipped bounds a text of a seal that is kept. No digest and no host is longer.
func clipped(s string) string { return strings.Clone(s[:min(len(s), 255)]) }

// parts sorts the links into chains. Those of another signer than the one asked for are told, and left.
func (v *chainVerifier) parts() []*chainPart {
	type key struct{ chain, signer string }
	byKey, signers := map[key]*chainPart{}, map[string]int{}
	ours := map[string]bool{} // chains that the signer has links of
	for _, l := range v.links {
		if v.o.Signer == "" || l.signer == v.o.Signer {
			ours[l.Chain] = true
			signers[l.signer]++
		}
	}
	for _, l := range v.links {
		if signers[l.signer] == 0 {
			v.foreign(l, ours[l.Chain])
			continue
		}
		k := key{l.Chain, l.signer}
		if byKey[k] == nil {
			byKey[k] = &chainPart{v: v, ChainPart: ChainPart{Chain: l.Chain, Signer: l.signer}}
		}
		byKey[k].links = append(byKey[k].links, l)
	}
	parts := make([]*chainPart, 0, len(byKey))
	for _, p := range byKey {
		parts = append(parts, p)
	}
	slices.SortFunc(parts, func(a, b *chainPart) int {
		return cmp.Or(cmp.Compare(len(b.links), len(a.links)), strings.Compare(a.Chain, b.Chain), strings.Compare(a.Signer, b.Signer))
	})
	v.tellParts(parts, signers)
	return parts
}

func (v *chainVerifier) foreign(l *linkSeal, ours bool) {
	if ours {
		v.report.problem("foreign", l.Number, l.file, "says that it is a link of this chain, and is signed by %s", l.signer)
		return
	}
	v.report.remark("other", l.Number, l.file, "a link of another chain, signed by %s", l.signer)
}

func (v *chainVerifier) tellParts(parts []*chainPart, signers map[string]int) {
	switch {
	case len(parts) == 0 && v.o.Signer != "":
		v.report.problem("none", 0, "", "no link is signed by %q", v.o.Signer)
	case len(parts) == 0:
		v.report.problem("none", 0, "", "there is no link of a chain whose signature holds")
	case len(signers) > 1:
		v.report.problem("signer", 0, "", "links are signed by %d keys: name the one whose chain it is", len(signers))
	case len(parts) > 1:
		v.report.remark("chains", 0, "", "%d chains by one signer: a new one begins when neither the seals nor the index of the old one are found", len(parts))
	}
}

// anchor looks for the link that was kept elsewhere.
func (v *chainVerifier) anchor(parts []*chainPart) {
	want := v.o.Head
	if want.Seal == "" {
		return
	}
	for _, p := range parts {
		for _, l := range p.links {
			if l.digest == want.Seal {
				p.Vouched, p.VouchedBy = l.Number, v.o.HeadFrom
				if want.Number != 0 && want.Number != l.Number {
					v.report.problem("head", l.Number, l.file, "is the link that %s has, and not number %d", v.o.HeadFrom, want.Number)
				}
				return
			}
		}
	}
	v.report.problem("head", want.Number, "", "the link that %s has is not here: the end was cut off, or the chain was written anew", v.o.HeadFrom)
}

// unsealed tells of bundles that no seal is about.
func (v *chainVerifier) unsealed() {
	var names []string
	for name := range v.bundles {
		if !v.sealed[name] {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	for _, name := range names {
		v.report.remark("unsealed", 0, name, "a bundle without a seal is part of no chain: a snapshot that was killed leaves one, and the next removes it")
	}
}
