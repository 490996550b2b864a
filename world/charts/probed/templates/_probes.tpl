{{/* Ready once the agent says that it is connected. */}}
{{- define "pod.probes" -}}
readinessProbe:
  exec:
    command: [test, -e, /tmp/openab-ready]
  periodSeconds: 1
{{- end }}
