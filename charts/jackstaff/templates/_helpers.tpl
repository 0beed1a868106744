{{/*
Copyright The Jackstaff Authors.
SPDX-License-Identifier: Apache-2.0
*/}}

{{/* The Secret that is mounted where the manager does not make its certificate itself. */}}
{{- define "jackstaff.certificateSecret" -}}
{{- if eq .Values.certificates.mode "CertManager" -}}
jackstaff-webhook-tls
{{- else if eq .Values.certificates.mode "Secret" -}}
{{ required "certificates.secretName is needed with certificates.mode Secret" .Values.certificates.secretName }}
{{- else -}}
jackstaff-webhook-certificate
{{- end -}}
{{- end -}}
