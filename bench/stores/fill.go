package main

import (
	"context"
	"crypto/sha256"
	"encoding/base32"
	"encoding/binary"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/seeother/seeother/store"
	"github.com/seeother/seeother/store/journalstore"
)

// Filling a journal, killing its process and opening it again happen in processes
// of their own, so that the memory of each can be read.

const (
	fillEnv = "SEEOTHER_STORES_FILL" // how many records; the child fills
	openEnv = "SEEOTHER_STORES_OPEN" // the child opens
)

// filled is "-fill N".
func filled(ctx context.Context, n int) error {
	dir, err := os.MkdirTemp("", "seeother-fill-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }() // a folder of its own below the system's
	fmt.Printf("%d records of 1 KiB, with names as the gateway gives them:\n", n)
	for _, env := range []string{fillEnv + "=" + strconv.Itoa(n), openEnv + "=1"} {
		self, err := os.Executable()
		if err != nil {
			return err
		}
		cmd := exec.CommandContext(ctx, self, dir)
		cmd.Env = append(os.Environ(), env)
		cmd.Stderr = os.Stderr
		out, err := cmd.StdoutPipe()
		if err != nil {
			return err
		}
		if err := cmd.Start(); err != nil {
			return err
		}
		line := make([]byte, 200)
		k, _ := out.Read(line) // one line, and then it waits to be killed
		fmt.Print(string(line[:k]))
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // it was killed
	}
	return nil
}

// fillChild is a process of filled; it does not return.
func fillChild() {
	dir := os.Args[1]
	begun := time.Now()
	s, err := journalstore.Open(dir, journalstore.Options{})
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	if os.Getenv(openEnv) != "" {
		took := time.Since(begun)
		r, _, err := s.Get(context.Background(), "tenant", "once", nameOf(0))
		fmt.Printf("opened after a kill in %.1f s, %d MiB of anonymous memory; the first record has %d bytes, %v\n", took.Seconds(), anonymous(), len(r.Value), err)
		select {}
	}
	n, err := strconv.ParseInt(os.Getenv(fillEnv), 10, 64)
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	var next atomic.Int64
	var all sync.WaitGroup
	for range 256 {
		all.Go(func() {
			for i := next.Add(16) - 16; i < n; i = next.Add(16) - 16 {
				var ops []store.Op
				for k := i; k < min(i+16, n); k++ {
					ops = append(ops, store.PutIfAbsent("once", nameOf(uint64(k)), store.Put{
						State: "completed", Group: nameOf(uint64(k) % 100_000)[:43], Value: make([]byte, 1024),
						DueIn: 24*time.Hour + time.Duration(k%86_400)*time.Second, TTL: 30*24*time.Hour + time.Duration(k%86_400)*time.Second,
					}))
				}
				if _, err := s.Apply(context.Background(), "tenant", ops...); err != nil {
					fmt.Println(err)
					os.Exit(1)
				}
			}
		})
	}
	all.Wait()
	took := time.Since(begun)
	time.Sleep(10 * time.Second) // for the sidecars
	fmt.Printf("filled in %.0f s, %d MiB of anonymous memory\n", took.Seconds(), anonymous())
	select {}
}

// nameOf is the name of a record, as package once makes them.
func nameOf(i uint64) string {
	sum := sha256.Sum256(binary.BigEndian.AppendUint64(nil, i))
	return strings.ToLower(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(sum[:]))
}

// anonymous is this process's RssAnon, in MiB.
func anonymous() int {
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(text), "RssAnon:")
	line, _, _ := strings.Cut(rest, "kB")
	kb, err := strconv.Atoi(strings.TrimSpace(line))
	if err != nil {
		return 0
	}
	return kb >> 10
}
