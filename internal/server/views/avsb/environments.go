// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package avsb

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/jackstaff-dev/jackstaff/api/v1alpha1"
	"github.com/jackstaff-dev/jackstaff/internal/server"
)

const (
	// publishWait is how long a publish may take before the answer is that it is under way.
	publishWait = 10 * time.Second
	// reportWait is how long the flags' own word on it may take after that.
	reportWait = 3 * time.Second
	// publishPoll is how often the cache is looked at meanwhile.
	publishPoll = 10 * time.Millisecond
)

type createEnvironmentInput struct {
	ProjectPath
	Body struct {
		Name         string `json:"name" minLength:"1"`
		Key          string `json:"key,omitempty" doc:"A DNS label. Default: made from the name."`
		IsProduction bool   `json:"isProduction,omitempty" doc:"True where changes need the permission to publish."`
		PublishMode  string `json:"publishMode,omitempty" enum:"AUTOMATIC,MANUAL" doc:"What publishes a change. Default AUTOMATIC: every change is published at once."`
	}
}

type publishInput struct {
	ProjectPath
	EnvID string `path:"envId" doc:"The id or key of the environment."`
}

// Published is what a publish has come to.
type Published struct {
	Revision    int64   `json:"revision" doc:"The revision that is served, and 0 where nothing is published yet."`
	PublishedAt *string `json:"publishedAt" format:"date-time"`
	Digest      string  `json:"digest" doc:"The digest of what is served."`
	Message     string  `json:"message,omitempty" doc:"With status 202: what keeps the publish back."`
}

type publishOutput struct {
	Status int
	Body   Data[Published]
}

func (v *view) registerEnvironments(api *server.View) {
	server.Register(
		api,
		operation("list-environments", http.MethodGet, projectPath+"/environments", "List environments"),
		v.listEnvironments,
	)
	server.Register(
		api,
		creation("create-environment", projectPath+"/environments", "Create an environment"),
		v.createEnvironment,
	)
	publish := operation(
		"publish-environment",
		http.MethodPost,
		projectPath+"/environments/{envId}/publish",
		"Publish what is pending",
	)
	publish.Description = "Answers once the datafile is written, or with 202 after 10 seconds."
	server.Register(api, publish, v.publish)
}

func (v *view) listEnvironments(ctx context.Context, input *listInput) (*answer[[]Environment], error) {
	project, err := v.project(ctx, &input.ProjectPath)
	if err != nil {
		return nil, err
	}
	environments, err := v.cluster.Environments(ctx, project)
	if err != nil {
		return nil, err
	}
	shown := make([]Environment, 0, len(environments))
	for _, environment := range environments {
		shown = append(shown, showEnvironment(environment))
	}
	return &answer[[]Environment]{Body: Data[[]Environment]{shown}}, nil
}

func (v *view) createEnvironment(ctx context.Context, input *createEnvironmentInput) (*answer[Environment], error) {
	project, err := v.project(ctx, &input.ProjectPath)
	if err != nil {
		return nil, err
	}
	body := &input.Body
	environment := &v1alpha1.FlagEnvironment{
		ObjectMeta: metav1.ObjectMeta{Name: body.Key},
		Spec: v1alpha1.FlagEnvironmentSpec{
			DisplayName: body.Name,
			Production:  body.IsProduction,
			Publish:     v1alpha1.Publish{Mode: publishModes.kind(body.PublishMode)},
		},
	}
	if body.Key == "" {
		environment.Name = v.freeName(ctx, project, body.Name, "environment", &v1alpha1.FlagEnvironment{})
	}
	if err := server.Create(ctx, v.cluster, project, environment, rename); err != nil {
		return nil, err
	}
	return &answer[Environment]{Body: Data[Environment]{showEnvironment(environment)}}, nil
}

// publish asks for a publish as the caller, and waits for the operator's answer.
func (v *view) publish(ctx context.Context, input *publishInput) (*publishOutput, error) {
	project, err := v.project(ctx, &input.ProjectPath)
	if err != nil {
		return nil, err
	}
	environment, err := v.cluster.Environment(ctx, project, input.EnvID)
	if err != nil {
		return nil, err
	}
	if held := held(environment, v.clock.Now()); held != nil {
		return nil, held
	}
	pending, err := v.pendingFlags(ctx, environment)
	if err != nil {
		return nil, err
	}
	// Nanoseconds let two requests of one second differ.
	request := v.clock.Now().UTC()
	environment, err = server.Change(ctx, v.cluster, environment, server.Edit[*v1alpha1.FlagEnvironment]{
		Apply: func(environment *v1alpha1.FlagEnvironment) error {
			metav1.SetMetaDataAnnotation(
				&environment.ObjectMeta,
				v1alpha1.PublishRequestedAtAnnotation,
				request.Format(time.RFC3339Nano),
			)
			return nil
		},
		Part:   func(*v1alpha1.FlagEnvironment) any { return nil },
		Rename: rename,
		// No GitOps tool undoes an annotation that it does not know.
		Unguarded: func(*v1alpha1.FlagEnvironment) bool { return true },
	})
	if err != nil {
		return nil, err
	}
	latest := environment
	err = wait.PollUntilContextTimeout(ctx, publishPoll, publishWait, true, func(ctx context.Context) (bool, error) {
		read := &v1alpha1.FlagEnvironment{}
		if err := v.cluster.Reader.Get(
			ctx,
			client.ObjectKeyFromObject(environment),
			read,
			client.UnsafeDisableDeepCopy,
		); err != nil {
			return false, err
		}
		latest = read
		return isAnswered(&read.Status, request), nil
	})
	output := &publishOutput{Status: http.StatusOK, Body: Data[Published]{showPublished(&latest.Status)}}
	switch {
	case wait.Interrupted(err):
		output.Status = http.StatusAccepted
		output.Body.Data.Message = "the publish is under way"
		if published := meta.FindStatusCondition(
			latest.Status.Conditions,
			v1alpha1.PublishedCondition,
		); published != nil &&
			published.Status == metav1.ConditionFalse {
			output.Body.Data.Message = published.Message
		}
		return output, nil
	case err != nil:
		return nil, err
	}
	return output, v.awaitPublished(ctx, latest, pending)
}

// held says why nothing is published in an environment, and is nil where something can be.
func held(environment *v1alpha1.FlagEnvironment, now time.Time) error {
	switch spec := environment.Spec.Publish.At(now); {
	case spec.Suspend:
		until, reason := "somebody ends the freeze", ""
		if spec.SuspendUntil != nil {
			until = server.Time(spec.SuspendUntil.Time)
		}
		if spec.SuspendReason != "" {
			reason = ": " + spec.SuspendReason
		}
		return server.Errorf(
			http.StatusConflict, "publishing is suspended in environment %q until %s%s", environment.Name, until, reason,
		)
	case spec.Revision != nil:
		return server.Errorf(
			http.StatusConflict,
			"environment %q is pinned to revision %d; nothing is published until somebody ends the rollback",
			environment.Name,
			*spec.Revision,
		)
	}
	return nil
}

// isAnswered reports whether the operator has answered a publish request, or one that came after it and stands for
// both.
func isAnswered(status *v1alpha1.FlagEnvironmentStatus, request time.Time) bool {
	handled, err := time.Parse(time.RFC3339, status.LastHandledPublishAt)
	return err == nil && !handled.Before(request)
}

func showPublished(status *v1alpha1.FlagEnvironmentStatus) Published {
	return Published{
		Revision:    status.PublishedRevision,
		PublishedAt: instant(status.PublishedAt),
		Digest:      status.PublishedDigest,
	}
}

// pendingFlags are the generations of the flags, by name, that say of themselves that they wait for a publish of an
// environment.
func (v *view) pendingFlags(ctx context.Context, environment *v1alpha1.FlagEnvironment) (map[string]int64, error) {
	flags := &v1alpha1.FeatureFlagList{}
	if err := v.cluster.Reader.List(
		ctx,
		flags,
		client.InNamespace(environment.Namespace),
		client.UnsafeDisableDeepCopy,
	); err != nil {
		return nil, fmt.Errorf("list flags: %w", err)
	}
	pending := map[string]int64{}
	for i := range flags.Items {
		if flag := &flags.Items[i]; isPending(flag, environment.Name) {
			pending[flag.Name] = flag.Generation
		}
	}
	return pending, nil
}

// awaitPublished waits until flags that were pending say that they are published, so that whoever publishes and then
// reads sees it. A flag that was changed again waits for a publish of its own.
func (v *view) awaitPublished(ctx context.Context, environment *v1alpha1.FlagEnvironment, were map[string]int64) error {
	err := wait.PollUntilContextTimeout(ctx, publishPoll, reportWait, true, func(ctx context.Context) (bool, error) {
		are, err := v.pendingFlags(ctx, environment)
		for name, generation := range were {
			if are[name] == generation {
				return false, err
			}
		}
		return true, err
	})
	if wait.Interrupted(err) {
		return nil
	}
	return err
}
