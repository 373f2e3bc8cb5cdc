package seeother

import (
	"errors"
	"fmt"
	"hash/fnv"
	"strconv"
	"strings"
)

// ErrStage is what ParseStage returns, wrapped, for a text that is no stage.
var ErrStage = errors.New("want off, report, canary N% (1 to 99) or enforce")

// Stage says how far a policy is rolled out. The zero value is Enforce, so
// that a policy that says nothing about stages simply works. Stages are
// comparable with ==.
type Stage struct {
	mode    stageMode
	percent uint8
}

type stageMode uint8

const (
	modeEnforce stageMode = iota
	modeOff
	modeReport
	modeCanary
)

// The stages that need no number.
var (
	Enforce = Stage{mode: modeEnforce} // the policy acts on every request
	Report  = Stage{mode: modeReport}  // nothing changes; each would-be change is a Decision
	Off     = Stage{mode: modeOff}     // the policy does not look
)

// Canary is the stage in which the policy acts for percent % of the clients
// and only reports for the others. 0 or less is Report, 100 or more Enforce.
func Canary(percent int) Stage {
	switch {
	case percent <= 0:
		return Report
	case percent >= 100:
		return Enforce
	}
	return Stage{mode: modeCanary, percent: uint8(percent)}
}

// ParseStage reads "off", "report", "canary N%" (the sign may be left out) or
// "enforce". The error wraps ErrStage.
func ParseStage(text string) (Stage, error) {
	name, rest, _ := strings.Cut(strings.TrimSpace(text), " ")
	rest = strings.TrimSpace(rest)
	switch {
	case name == "off" && rest == "":
		return Off, nil
	case name == "report" && rest == "":
		return Report, nil
	case name == "enforce" && rest == "":
		return Enforce, nil
	case name == "canary":
		n, err := strconv.Atoi(strings.TrimSpace(strings.TrimSuffix(rest, "%")))
		if err == nil && n >= 1 && n <= 99 {
			return Canary(n), nil
		}
	}
	return Stage{}, fmt.Errorf("stage %q: %w", text, ErrStage)
}

// String is the form that ParseStage reads.
func (s Stage) String() string {
	switch s.mode {
	case modeOff:
		return "off"
	case modeReport:
		return "report"
	case modeCanary:
		return "canary " + strconv.Itoa(int(s.percent)) + "%"
	}
	return "enforce"
}

// MarshalText and UnmarshalText make a Stage usable in JSON and YAML.
func (s Stage) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText is ParseStage.
func (s *Stage) UnmarshalText(text []byte) error {
	parsed, err := ParseStage(string(text))
	if err == nil {
		*s = parsed
	}
	return err
}

// Level orders stages by how many clients they touch: 0 for Off and 101 for
// Enforce; Report is 1 and a canary lies between. A stage rises when its Level
// does.
func (s Stage) Level() int {
	switch s.mode {
	case modeOff:
		return 0
	case modeReport:
		return 1
	case modeCanary:
		return 1 + int(s.percent)
	}
	return 101
}

// IsCanary reports whether the stage acts for some clients only.
func (s Stage) IsCanary() bool { return s.mode == modeCanary }

// Acts reports whether the policy changes anything for this client. The answer
// for a client is stable: across restarts, across gateways, and as the
// percentage grows (who is in stays in).
func (s Stage) Acts(client string) bool {
	switch s.mode {
	case modeEnforce:
		return true
	case modeCanary:
		h := fnv.New64a()
		_, _ = h.Write([]byte(client)) // a hash never fails
		return mix(h.Sum64())%100 < uint64(s.percent)
	}
	return false
}

// mix spreads FNV's weak low bits (the finalizer of SplitMix64).
func mix(x uint64) uint64 {
	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9
	x = (x ^ (x >> 27)) * 0x94d049bb133111eb
	return x ^ (x >> 31)
}
