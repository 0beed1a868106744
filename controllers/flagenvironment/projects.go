// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package flagenvironment

import (
	"sync"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/compile"
)

// projects holds what the environments of a namespace share, by namespace. It is safe for concurrent use.
type projects struct {
	mu          sync.Mutex
	byNamespace map[string]*compile.Project
}

func newProjects() *projects { return &projects{byNamespace: map[string]*compile.Project{}} }

// of returns what the environments of the namespace share.
func (p *projects) of(namespace string) *compile.Project {
	p.mu.Lock()
	defer p.mu.Unlock()
	project, ok := p.byNamespace[namespace]
	if !ok {
		project = compile.NewProject()
		p.byNamespace[namespace] = project
	}
	return project
}

// refresh makes the namespace hold an object as the cache has it now, where nothing changed that is compiled.
func (p *projects) refresh(object client.Object) {
	audience, is := object.(*v1alpha1.FlagAudience)
	if !is {
		return
	}
	p.mu.Lock()
	project := p.byNamespace[audience.Namespace]
	p.mu.Unlock()
	if project != nil {
		project.RefreshAudience(audience)
	}
}

// forget drops a namespace that has no environment any more. What is still used stays with whoever uses it.
func (p *projects) forget(namespace string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.byNamespace, namespace)
}
