// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// manager is a running manager.
type manager struct {
	command *exec.Cmd
	log     *strings.Builder
	probes  string
	api     string
	began   time.Time
}

// startManager runs the manager with the memory limit that config/manager sets, of which it learns by GOMEMLIMIT
// because it is in no container of its own here.
func (b *bench) startManager(ctx context.Context, folder string, more ...string) (*manager, error) {
	var ports [3]string
	for i := range ports {
		listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		_, ports[i], _ = net.SplitHostPort(listener.Addr().String())
		_ = listener.Close()
	}
	m := &manager{log: &strings.Builder{}, probes: ports[0], api: ports[1], began: time.Now()}
	m.command = exec.CommandContext(ctx, filepath.Join(folder, "manager"), append([]string{
		"--kubeconfig=" + b.kubeconfig,
		"--operator-namespace=" + operatorNamespace,
		"--leader-elect=false",
		"--metrics-bind-address=0",
		"--cert-rotation=false",
		"--webhook-cert-dir=" + b.certificates,
		"--health-probe-bind-address=127.0.0.1:" + ports[0],
		"--api-bind-address=127.0.0.1:" + ports[1],
		"--webhook-port=" + ports[2],
	}, more...)...)
	m.command.Env = append(os.Environ(), fmt.Sprintf("GOMEMLIMIT=%dMiB", shippedLimit*90/100))
	m.command.Stderr = m.log
	return m, m.command.Start()
}

// stop ends the manager.
func (m *manager) stop() {
	_ = m.command.Process.Signal(syscall.SIGTERM)
	_ = m.command.Wait()
}

// isReady reports whether the manager says that it is ready.
func (m *manager) isReady(ctx context.Context) bool {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://127.0.0.1:"+m.probes+"/readyz", nil)
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

// memory reads the resident memory, now and at most, in MiB (proc_pid_status(5)).
func (m *manager) memory() (resident, most float64, err error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", m.command.Process.Pid))
	if err != nil {
		return 0, 0, err
	}
	for name, to := range map[string]*float64{"VmRSS:": &resident, "VmHWM:": &most} {
		_, rest, _ := strings.Cut(string(data), name)
		if _, err := fmt.Sscan(rest, to); err != nil {
			return 0, 0, fmt.Errorf("read %s %w: %s", name, err, m.log)
		}
		*to /= 1024
	}
	return resident, most, nil
}
