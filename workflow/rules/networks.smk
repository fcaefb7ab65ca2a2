# Pretrained weights of each backbone.


rule weights:
    output:
        state=f"{RESULTS}/networks/{{backbone}}.pt",
        facts=f"{RESULTS}/networks/{{backbone}}.json",
    log:
        f"{RESULTS}/logs/networks/{{backbone}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/networks/{{backbone}}.tsv"
    priority: 20
    resources:
        mem_mb=growing(2000),
        runtime=growing(30),
    params:
        settings=lambda wildcards: json.dumps(WEIGHTS[wildcards.backbone]),
        code=code_of("cxr.networks.weights"),
    shell:
        "python -m cxr --log {log} weights --settings {params.settings:q} --weights {output.state} --facts {output.facts}"
