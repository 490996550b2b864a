{{/* The root file system may be read-only, so /tmp is a volume; and the values may add to the pod. */}}
{{- define "pod.instructionFiles" -}}
["AGENTS.md", "CLAUDE.md", "GEMINI.md"]
{{- end }}

{{- define "pod.initContainers" -}}
{{- with .spec.extraInitContainers }}
initContainers: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- define "pod.extraMounts" -}}
- name: tmp
  mountPath: /tmp
{{- with .spec.extraVolumeMounts }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "pod.extraContainers" -}}
{{- with .spec.extraContainers }}
{{- toYaml . }}
{{- end }}
{{- end }}

{{- define "pod.extraVolumes" -}}
- name: tmp
  emptyDir: {}
{{- with .spec.extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end }}
