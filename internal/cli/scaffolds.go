// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

package cli

import "text/template"

// scaffolds are the manifests that "jackstaff new" begins with.
var scaffolds = template.Must(template.New("").Funcs(template.FuncMap{"yaml": asYAML}).Parse(`
{{- define "head" -}}
# yaml-language-server: $schema={{.Schema}}
apiVersion: flags.jackstaff.dev/v1alpha1
{{- end}}

{{- define "metadata" -}}
metadata:
  name: {{.Name | yaml}}
{{- if .Namespace}}
  namespace: {{.Namespace | yaml}}
{{- end}}
{{- end}}

{{- define "description"}}
{{- if .Description}}
  description: {{.Description | yaml}}
{{- else}}
  # description: What it is for, for whoever finds it years from now.
{{- end}}
{{- end}}

{{- define "displayName"}}
{{- if .Description}}
  displayName: {{.Description | yaml}}
{{- end}}
{{- end}}

{{- define "flag" -}}
{{template "head" .}}
kind: FeatureFlag
{{template "metadata" .}}
spec:
{{- if .Key}}
  # What code asks for.
  key: {{.Key | yaml}}
{{- end}}
{{- template "description" .}}
{{- if .Owner}}
  owner: {{.Owner | yaml}}
{{- else}}
  # owner: The team to ask.
{{- end}}
  type: {{.Type | yaml}}
  variations:
{{- if eq .Type "Boolean"}}
  # Without quotes YAML reads on and off as true and false.
  - {key: "off", value: false}
  - {key: "on", value: true}
  # Served where the flag is not enabled.
  defaultVariation: "off"
{{- else}}
{{- if eq .Type "String"}}
  - {key: before, value: as before}
  - {key: after, value: something new}
{{- else if eq .Type "Number"}}
  - {key: before, value: 10}
  - {key: after, value: 20}
{{- else}}
  - {key: before, value: {limit: 10}}
  - {key: after, value: {limit: 20}}
{{- end}}
  # Served where the flag is not enabled.
  defaultVariation: before
{{- end}}
  environments:
{{- range .Environments}}
  - name: {{. | yaml}}
    # True switches it on.
    enabled: false
{{- if $.Traffic}}
    rules:
    - name: gradual
      # Raise it step by step, such as 1%, 10%, 50%, 100%: whoever is in stays in. When all are in, serve "on" by
      # defaultVariation of this environment, and remove the rule.
      traffic: {{$.Traffic | yaml}}
      variation: "on"
      # Of whom it is a share: of people by their targetingKey, or of another attribute.
      # hashAttribute: organization.id
      # Whom it is for at all. Without conditions that is everybody.
      # conditions:
      # - {attribute: country, operator: In, values: [DE, AT]}
{{- else}}
    # Served to everybody whom no rule gives another, while it is enabled.
    defaultVariation: {{if eq $.Type "Boolean"}}"on"{{else}}after{{end}}
    # rules:
    # - name: beta
    #   conditions:
    #   - {attribute: plan, operator: In, values: [beta]}
    #   variation: {{if eq $.Type "Boolean"}}"on"{{else}}after{{end}}
{{- end}}
{{- end}}
{{end}}

{{- define "environment" -}}
{{template "head" .}}
kind: FlagEnvironment
{{template "metadata" .}}
spec:
{{- template "displayName" .}}
  # What is served here changes only by whoever has the permission "publish" on it.
  production: {{.Production}}
  publish:
    # Automatic publishes each change at once; Manual waits until somebody asks for it.
    mode: Automatic
  # Retain keeps what workloads mount when the environment is deleted; Delete does not.
  deletionPolicy: {{if .Production}}Retain{{else}}Delete{{end}}
{{end}}

{{- define "audience" -}}
{{template "head" .}}
kind: FlagAudience
{{template "metadata" .}}
spec:
{{- template "displayName" .}}
  # Who is in it by their targetingKey.
  members: []
  # And who fits any of these groups, of each of which all conditions hold.
  matchAny:
  - conditions:
    - {attribute: plan, operator: In, values: [beta]}
{{end}}

{{- define "event" -}}
{{template "head" .}}
kind: FlagEvent
{{template "metadata" .}}
spec:
{{- if .Key}}
  # What code tracks.
  key: {{.Key | yaml}}
{{- end}}
{{- template "description" .}}
  # Conversion counts who did it; Numeric takes the mean of a value.
  type: {{.Type | yaml}}
{{- if eq .Type "Numeric"}}
  # unit: EUR
{{- end}}
{{end}}
`))
