// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

// Package operator runs the manager in benchmarks: the program that is shipped, as a process of its own.
package operator

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Namespace is where the manager keeps its keys. Whoever starts a manager makes it.
const Namespace = "jackstaff-system"

// Build builds the manager into a folder, and other programs of this repository beside it.
func Build(ctx context.Context, folder string, packages ...string) error {
	arguments := []string{"build", "-trimpath", "-ldflags", "-s -w", "-o", folder, "./cmd/manager"}
	build := exec.CommandContext(ctx, "go", append(arguments, packages...)...)
	build.Stderr = os.Stderr
	if err := build.Run(); err != nil {
		return fmt.Errorf("build the manager: %w", err)
	}
	return nil
}

// Options are how a manager runs.
type Options struct {
	// Folder is where Build has put the manager.
	Folder string
	// Kubeconfig is the path of the administrator's kubeconfig.
	Kubeconfig string
	// Certificates is the folder of the webhooks' certificate. Empty where nothing asks the webhooks.
	Certificates string
	// WebhookPort is the port of the webhooks. Zero is any that is free.
	WebhookPort int
	// MemoryLimit is what Go is told of the memory limit, in MiB. Zero says nothing.
	MemoryLimit int
	// Arguments come after all others.
	Arguments []string
}

// Manager is a running manager.
type Manager struct {
	// API is the address of its API.
	API string
	// Began is when it was started.
	Began time.Time

	command *exec.Cmd
	log     *strings.Builder
	probes  string
}

// Start runs the manager without leader election, metrics and rotation of certificates. It does not wait until the
// manager is ready.
func Start(ctx context.Context, options Options) (*Manager, error) {
	var ports [3]string
	for i := range ports {
		listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		defer listener.Close() // All are open until all are known, so that they differ.
		_, ports[i], _ = net.SplitHostPort(listener.Addr().String())
	}
	if options.WebhookPort != 0 {
		ports[2] = strconv.Itoa(options.WebhookPort)
	}
	m := &Manager{
		API:    "127.0.0.1:" + ports[1],
		Began:  time.Now(),
		log:    &strings.Builder{},
		probes: "127.0.0.1:" + ports[0],
	}
	m.command = exec.CommandContext(ctx, filepath.Join(options.Folder, "manager"), append([]string{
		"--kubeconfig=" + options.Kubeconfig,
		"--operator-namespace=" + Namespace,
		"--leader-elect=false",
		"--metrics-bind-address=0",
		"--cert-rotation=false",
		"--webhook-cert-dir=" + options.Certificates,
		"--health-probe-bind-address=" + m.probes,
		"--api-bind-address=" + m.API,
		"--webhook-port=" + ports[2],
	}, options.Arguments...)...)
	m.command.Env = os.Environ()
	if options.MemoryLimit > 0 {
		m.command.Env = append(m.command.Env, fmt.Sprintf("GOMEMLIMIT=%dMiB", options.MemoryLimit))
	}
	m.command.Stderr = m.log
	return m, m.command.Start()
}

// Stop ends the manager.
func (m *Manager) Stop() {
	_ = m.command.Process.Signal(syscall.SIGTERM)
	_ = m.command.Wait()
}

// Log is what the manager has logged. It is complete once the manager is stopped.
func (m *Manager) Log() string { return m.log.String() }

// IsReady reports whether the manager says that it is ready.
func (m *Manager) IsReady(ctx context.Context) bool {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+m.probes+"/readyz", nil)
	if err != nil {
		return false
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return false
	}
	defer response.Body.Close()
	return response.StatusCode == http.StatusOK
}

// WaitReady waits until the manager says that it is ready, and stops it where it does not in time.
func (m *Manager) WaitReady(ctx context.Context, patience time.Duration) error {
	for deadline := time.Now().Add(patience); !m.IsReady(ctx); time.Sleep(100 * time.Millisecond) {
		if time.Now().After(deadline) {
			m.Stop()
			return fmt.Errorf("the manager is not ready after %s: %s", patience, m.Log())
		}
	}
	return nil
}

// Memory is the resident memory of a process, in MiB.
type Memory struct{ Resident, Most float64 }

// Memory is the manager's memory, now and at most.
func (m *Manager) Memory() (Memory, error) { return MemoryOf(m.command.Process.Pid) }

// MemoryOf reads what the kernel counts of a process (proc_pid_status(5)).
func MemoryOf(process int) (Memory, error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", process))
	if err != nil {
		return Memory{}, err
	}
	measured := Memory{}
	for name, to := range map[string]*float64{"VmRSS:": &measured.Resident, "VmHWM:": &measured.Most} {
		_, rest, _ := strings.Cut(string(data), name)
		if _, err := fmt.Sscan(rest, to); err != nil {
			return Memory{}, fmt.Errorf("read %s of process %d: %w", name, process, err)
		}
		*to /= 1024
	}
	return measured, nil
}
