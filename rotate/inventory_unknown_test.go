package rotate

import (
	"slices"
	"testing"

	"github.com/clawbook/openclaw-ir/internal/secret"
)

func TestUnlisted(t *testing.T) {
	found := map[string]secret.Unknown{}
	for text, want := range map[string]string{
		"ghp_FAKE11112222333344445555666677778888":                            "github-git-token",
		"sk-ant-api03-FAKE1-zQ9fJ2kLmN":                                       "anthropic-model-key",
		"sk-FAKE1-zQ9fJ2kLmN-84":                                              "api-key",
		"AKIAFAKE5X7QZ2M4W8PL":                                                "aws-cloud-credential",
		"xoxb-1234567890-FAKEfakeFAKE":                                        "slack-channel-token",
		"123456789:AAFAKEfakeFAKE0123456789zyxwvutsrqp":                       "telegram-channel-token",
		"https://hooks.slack.com/services/T0FAKE/B0FAKE/fakefakefake12345678": "slack-channel-token",
		"https://user:hunter2x@host.test/":                                    "",
	} {
		_, unknown := secret.NewSet(secret.NewFingerprinter([]byte("salt"))).Look(text)
		if len(unknown) != 1 {
			t.Fatalf("%q: %v", text, unknown)
		}
		found[unknown[0].Fingerprint] = unknown[0]
		items := Unlisted(map[string]secret.Unknown{unknown[0].Fingerprint: unknown[0]})
		if want == "" {
			if len(items) > 0 {
				t.Errorf("%q is on the list: %+v", text, items)
			}
			continue
		}
		if len(items) != 1 || items[0].ID != want+"-"+items[0].Fingerprint[:4] || items[0].How == "" || items[0].Status != StatusOpen || items[0].Who != WhoYou {
			t.Errorf("%q: %+v", text, items)
		}
	}
	items := Unlisted(found)
	if len(items) != len(found)-1 || !slices.IsSortedFunc(items, func(a, b Item) int { return a.Rank - b.Rank }) {
		t.Errorf("%+v", items)
	}
	// It stays open until a person says that it is done: nothing stands in its place.
	var l Ledger
	l.Merge(items, nil)
	l.Merge(nil, nil)
	if l.Open() != len(items) {
		t.Errorf("%d of %d are open", l.Open(), len(items))
	}
}
