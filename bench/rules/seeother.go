//go:build linux

package main

import (
	"context"
	"os/exec"
	"path/filepath"

	"github.com/seeother/seeother/bench/internal/rig"
)

// seeotherCommand runs the gateway as a user would, with its defaults.
func (b *bench) seeotherCommand(dir, rules string) func(context.Context) (*exec.Cmd, string, error) {
	return func(ctx context.Context) (*exec.Cmd, string, error) {
		addr, err := rig.FreeAddr()
		if err != nil {
			return nil, "", err
		}
		admin, err := rig.FreeAddr()
		if err != nil {
			return nil, "", err
		}
		cmd := rig.Pinned(ctx, b.serverCPU, b.seeother, "run", "http://"+b.app, "--rules", rules,
			"--listen", addr, "--admin", admin, "--data", filepath.Join(dir, "data"))
		return cmd, addr, nil
	}
}
