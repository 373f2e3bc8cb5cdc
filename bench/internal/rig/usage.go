package rig

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// pids are the server's process and its workers.
func (s *Server) pids() ([]string, error) {
	pid := strconv.Itoa(s.cmd.Process.Pid)
	children, err := os.ReadFile("/proc/" + pid + "/task/" + pid + "/children")
	return append(strings.Fields(string(children)), pid), err
}

// CPU is the CPU time, user and system, that the server and its workers have
// used since they started.
func (s *Server) CPU() (time.Duration, error) {
	pids, err := s.pids()
	if err != nil {
		return 0, err
	}
	var total time.Duration
	for _, p := range pids {
		stat, err := os.ReadFile("/proc/" + p + "/stat")
		if err != nil {
			return 0, err
		}
		used, err := parseStat(string(stat))
		if err != nil {
			return 0, fmt.Errorf("process %s: %w", p, err)
		}
		total += used
	}
	return total, nil
}

// ticks in a second, in which /proc counts: 100 on every Linux that Go runs on.
const ticks = 100

// parseStat reads utime and stime, fields 14 and 15 of /proc/PID/stat (proc(5)).
// The name in field 2 may hold spaces and parentheses, so counting starts after it.
func parseStat(stat string) (time.Duration, error) {
	fields := strings.Fields(stat[strings.LastIndexByte(stat, ')')+1:])
	if len(fields) < 13 {
		return 0, fmt.Errorf("stat %q: too few fields", stat)
	}
	user, err1 := strconv.ParseInt(fields[11], 10, 64)
	system, err2 := strconv.ParseInt(fields[12], 10, 64)
	return time.Duration(user+system) * time.Second / ticks, errors.Join(err1, err2)
}

// Memory is what the server and its workers have in memory now, in bytes. A
// page that they share counts once (the Pss of smaps_rollup, proc(5)).
func (s *Server) Memory() (int64, error) { return s.memory("smaps_rollup", "Pss:") }

// Highest is the most that any one process of the server had in memory at one
// time, in bytes (VmHWM). A worker that has ended is not counted.
func (s *Server) Highest() int64 {
	pids, _ := s.pids()
	var most int64
	for _, p := range pids {
		if n, err := memoryOf(p, "status", "VmHWM:"); err == nil {
			most = max(most, n)
		}
	}
	return most
}

func (s *Server) memory(file, field string) (int64, error) {
	pids, err := s.pids()
	if err != nil {
		return 0, err
	}
	var total int64
	for _, p := range pids {
		n, err := memoryOf(p, file, field)
		if err != nil && !errors.Is(err, os.ErrNotExist) { // a worker that has just ended
			return 0, err
		}
		total += n
	}
	return total, nil
}

func memoryOf(pid, file, field string) (int64, error) {
	text, err := os.ReadFile("/proc/" + pid + "/" + file)
	if err != nil {
		return 0, err
	}
	n, err := parseMemory(text, field)
	if err != nil {
		return 0, fmt.Errorf("process %s: %w", pid, err)
	}
	return n, nil
}

// parseMemory finds "FIELD   123 kB" at the start of a line.
func parseMemory(text []byte, field string) (int64, error) {
	for line := range bytes.Lines(text) {
		rest, ok := bytes.CutPrefix(line, []byte(field))
		if !ok {
			continue
		}
		n, err := strconv.ParseInt(string(bytes.TrimSuffix(bytes.TrimSpace(rest), []byte(" kB"))), 10, 64)
		return n << 10, err
	}
	return 0, fmt.Errorf("there is no field %q", field)
}

// WatchMemory looks at the server's memory from now on, and returns a function
// that ends this and gives the most that was seen, in bytes. Of a server with
// workers that is a series of looks; of a single process the kernel knows it.
func (s *Server) WatchMemory() (peak func() int64) {
	if pids, err := s.pids(); err == nil {
		for _, p := range pids {
			_ = os.WriteFile("/proc/"+p+"/clear_refs", []byte("5"), 0) // resets VmHWM; where it cannot, the peak is since the start
		}
	}
	if pids, _ := s.pids(); len(pids) == 1 {
		return s.Highest // to look would disturb it
	}
	stop, stopped := make(chan struct{}), make(chan int64)
	go func() {
		var most int64
		for {
			select {
			case <-stop:
				stopped <- max(most, s.Highest())
				return
			case <-time.After(20 * time.Millisecond):
				if n, err := s.Memory(); err == nil {
					most = max(most, n)
				}
			}
		}
	}()
	return func() int64 { close(stop); return <-stopped }
}
