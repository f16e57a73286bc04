package collect

import (
	"fmt"
	"time"
)

// A ChainHead names a link of a chain, as it is kept elsewhere: with it a cut end, and a chain that was written anew, show.
type ChainHead struct {
	Seal   string `json:"seal"` // SealDigest of its seal
	Number int    `json:"number,omitzero"`
}

func (h ChainHead) String() string {
	if h.Number == 0 {
		return h.Seal
	}
	return fmt.Sprintf("%s:%d", h.Seal, h.Number)
}

// A ChainProblem is one thing about a chain that does not hold or is worth a remark.
type ChainProblem struct {
	// Kind, of what does not hold, is one of: none, seal, signature, signer, foreign, fork, gap, link, needed, missing, unrecorded,
	// head, state, limit, or one of those of [Problem], for what is wrong with a bundle. Of a remark it is one of: other, unsealed,
	// copy, name, clock, removed, chains. Of what could not be read it is unread.
	Kind   string `json:"kind"`
	Link   int    `json:"link,omitzero"` // the number of the link, if it is about one
	File   string `json:"file,omitzero"` // hostile text
	Detail string `json:"detail"`
}

// A ChainPart is one chain, as the seals of one signer tell it.
type ChainPart struct {
	Chain  string `json:"chain"`
	Signer string `json:"signer"` // the fingerprint of the key that signed all of it
	Host   string `json:"host,omitzero"`
	// First and Last are the numbers of the first and the last link that there is a seal of; Links is how many there are.
	First int       `json:"first"`
	Last  int       `json:"last"`
	Links int       `json:"links"`
	From  time.Time `json:"from"` // when the first was sealed
	To    time.Time `json:"to"`   // and the last
	Full  int       `json:"full"` // how many of the links hold the whole state
	// Here counts the bundles that are there, Bytes their size, and Whole those whose state can be had from what is there. Removed
	// counts those of which only the seal is there, as it should be.
	Here    int   `json:"here"`
	Bytes   int64 `json:"bytes"`
	Whole   int   `json:"whole"`
	Removed int   `json:"removed"`
	// States counts the links after which the whole state was put together and compared with what the seal says of it.
	States int `json:"states,omitzero"`
	// Head is the last link: what to keep elsewhere.
	Head ChainHead `json:"head"`
	// Vouched is the number of the link that is known from elsewhere, and VouchedBy says from where; 0 if none was given, or it was not
	// found.
	Vouched   int    `json:"vouched,omitzero"`
	VouchedBy string `json:"vouched_by,omitzero"`
}

// A ChainReport says what was checked of the chains on a Shelf, and what does not hold.
type ChainReport struct {
	Chains []ChainPart `json:"chains"`
	// Digests says that the ciphertext was compared with the seals, and Opened how many bundles were opened, too.
	Digests  bool           `json:"digests"`
	Opened   int            `json:"opened"`
	Seals    int            `json:"seals"`  // of links, with a signature that holds
	Others   int64          `json:"others"` // things that are neither bundles nor seals
	Problems []ChainProblem `json:"problems"`
	Remarks  []ChainProblem `json:"remarks"`
	Unread   []ChainProblem `json:"unread"` // what could not be looked at
	// Dropped counts problems, remarks and unread things beyond the first thousand of each.
	Dropped int64 `json:"dropped,omitzero"`
}

// OK says that everything that was checked holds. Unread says whether everything was.
func (r *ChainReport) OK() bool { return len(r.Problems) == 0 }

func (r *ChainReport) note(list *[]ChainProblem, p ChainProblem) {
	if len(*list) >= maxProblems {
		r.Dropped++
		return
	}
	*list = append(*list, p)
}

func (r *ChainReport) problem(kind string, link int, file, format string, args ...any) {
	r.note(&r.Problems, ChainProblem{kind, link, file, fmt.Sprintf(format, args...)})
}

func (r *ChainReport) remark(kind string, link int, file, format string, args ...any) {
	r.note(&r.Remarks, ChainProblem{kind, link, file, fmt.Sprintf(format, args...)})
}

func (r *ChainReport) unread(link int, file, format string, args ...any) {
	r.note(&r.Unread, ChainProblem{"unread", link, file, fmt.Sprintf(format, args...)})
}

// RetentionAction is the action of the custody log's line about a bundle of a chain that was removed because of its age. The line's
// object is the bundle's file name, and its seal stays.
const RetentionAction = "retention"
