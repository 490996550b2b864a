{{- define "agent.env" -}}
{{- $name := include "agent.fullname" . -}}
{{- range include "agent.tokens" . | fromJsonArray }}
- name: {{ .env }}
  valueFrom:
    secretKeyRef:
      name: {{ $name }}
      key: {{ .key }}
{{- end }}
- name: HOME
  value: {{ include "agent.home" . }}
{{- range $key, $value := .spec.env }}
- name: {{ $key }}
  value: {{ $value | quote }}
{{- end }}
{{- end }}

{{/* Names of environment variables that the agent's command inherits although they are not in the configuration. */}}
{{- define "agent.inherited" -}}[]{{- end }}
