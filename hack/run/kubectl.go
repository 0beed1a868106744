// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
)

// kubectl prepares kubectl to be run as the administrator.
func (s *session) kubectl(ctx context.Context, arguments ...string) *exec.Cmd {
	command := exec.CommandContext(ctx, filepath.Join(s.assets, "kubectl"), arguments...)
	command.Env = append(os.Environ(), "KUBECONFIG="+s.kubeconfig)
	return command
}

// kustomize builds a kustomization. kubectl's own apply -k does the same and then warns of sortOptions, which is no
// help to anyone.
func (s *session) kustomize(ctx context.Context, folder string) ([]byte, error) {
	manifests, err := s.kubectl(ctx, "kustomize", folder).Output()
	if failed := (*exec.ExitError)(nil); errors.As(err, &failed) {
		err = fmt.Errorf("%w: %s", err, failed.Stderr)
	}
	return manifests, err
}

// applySamples shows what kubectl says, warnings included.
func (s *session) applySamples(ctx context.Context) error {
	manifests, err := s.kustomize(ctx, s.samples)
	if err != nil {
		return err
	}
	apply := s.kubectl(ctx, "apply", "--server-side", "-f", "-")
	apply.Stdin, apply.Stdout, apply.Stderr = bytes.NewReader(manifests), os.Stdout, os.Stderr
	return apply.Run()
}

func (s *session) envFile() string { return filepath.Join(s.state, "env") }

// writeEnv writes the shell variables with which other programs find this session.
func (s *session) writeEnv(ctx context.Context) error {
	token, err := s.token(ctx, administrator)
	if err != nil {
		return err
	}
	authority, err := s.writeAuthority(ctx)
	if err != nil {
		return err
	}
	var lines strings.Builder
	fmt.Fprintf(&lines, "export KUBECONFIG='%s'\n", s.kubeconfig)
	fmt.Fprintf(&lines, "export JACKSTAFF_URL='https://127.0.0.1:%d'\n", s.ports.api)
	fmt.Fprintf(&lines, "export JACKSTAFF_TOKEN='%s'\n", token)
	fmt.Fprintf(&lines, "export JACKSTAFF_CA='%s'\n", authority)
	if err := os.WriteFile(s.envFile(), []byte(lines.String()), 0o600); err != nil {
		return fmt.Errorf("write the env file: %w", err)
	}
	return nil
}

// writeAuthority writes the authority of the manager's certificate into a file, and returns where.
func (s *session) writeAuthority(ctx context.Context) (string, error) {
	secret := &corev1.Secret{}
	if err := s.client.Get(
		ctx,
		types.NamespacedName{Namespace: namespace, Name: "jackstaff-webhook-certificate"},
		secret,
	); err != nil {
		return "", fmt.Errorf("get the manager's certificate: %w", err)
	}
	path := filepath.Join(s.state, "ca.crt")
	if err := os.WriteFile(path, secret.Data[corev1.ServiceAccountRootCAKey], 0o600); err != nil {
		return "", fmt.Errorf("write the authority: %w", err)
	}
	return path, nil
}
