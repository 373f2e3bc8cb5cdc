package admin

import (
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/seeother/seeother"
)

// policyStage is one policy and the stage in force.
type policyStage struct {
	Name  string         `json:"name"`
	Stage seeother.Stage `json:"stage"`
}

type stageList struct {
	Stages []policyStage `json:"stages"`
}

// stageRows returns the stages in the order of their names.
func (h *Handler) stageRows() []policyStage {
	out := []policyStage{}
	if h.src.Rollout == nil {
		return out
	}
	for name, stage := range h.src.Rollout.Stages() {
		out = append(out, policyStage{name, stage})
	}
	slices.SortFunc(out, func(a, b policyStage) int { return strings.Compare(a.Name, b.Name) })
	return out
}

func (h *Handler) stages(w http.ResponseWriter, _ *http.Request) error {
	if h.src.Rollout == nil {
		return errNotConfigured
	}
	return writeJSON(w, http.StatusOK, stageList{h.stageRows()})
}

// stageChange has texts and not a Stage, whose zero value would be enforce:
// leaving the stage out must not mean that.
type stageChange struct {
	Name  string `json:"name"`
	Stage string `json:"stage"`
}

func (c stageChange) validate() (seeother.Stage, error) {
	var errs []error
	if c.Name == "" {
		errs = append(errs, errors.New("name: want the name of a policy"))
	}
	stage, err := seeother.ParseStage(c.Stage)
	if err != nil {
		errs = append(errs, err)
	}
	if err := errors.Join(errs...); err != nil {
		return stage, &inputError{strings.ReplaceAll(err.Error(), "\n", "; ")}
	}
	return stage, nil
}

func (h *Handler) setStage(w http.ResponseWriter, r *http.Request) error {
	if h.src.Rollout == nil {
		return errNotConfigured
	}
	var change stageChange
	if err := decodeJSON(w, r, &change); err != nil {
		return err
	}
	stage, err := change.validate()
	if err != nil {
		return err
	}
	if err := h.src.Rollout.Set(r.Context(), change.Name, stage); err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, stageList{h.stageRows()})
}
