package severity_test

import (
	"encoding/json"
	"testing"

	"github.com/clawbook/openclaw-ir/internal/severity"
)

func TestLevelsRoundTripAndStayInScale(t *testing.T) {
	for i, name := range severity.Names() {
		l, err := severity.Parse(name)
		if err != nil || int(l) != i || l.String() != name {
			t.Errorf("%q parses to %v, %v", name, l, err)
		}
		text, err := json.Marshal(l)
		var back severity.Level
		if err != nil || json.Unmarshal(text, &back) != nil || back != l {
			t.Errorf("%v does not survive JSON: %s, %v", l, text, err)
		}
	}
	if severity.Critical.Shift(2) != severity.Critical || severity.Info.Shift(-1) != severity.Info || severity.Low.Shift(1) != severity.Medium {
		t.Error("a shift leaves the scale or moves by another number of steps")
	}
	if _, err := severity.Parse("awful"); err == nil {
		t.Error("a level that does not exist is accepted")
	}
}
