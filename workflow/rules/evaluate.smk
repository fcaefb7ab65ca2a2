# From here on everything comes from predictions; torch is not imported any more.


# One job for all runs: a run takes milliseconds, and starting Python takes seconds.
rule evaluate:
    input:
        predictions=expand("{run}/predictions.csv", run=RUNS),
        published=["paper/published/curves.json", "paper/published/results.json"],
    output:
        metrics=expand("{run}/metrics.json", run=RUNS),
        table=report(
            f"{RESULTS}/metrics.csv",
            caption="../report/metrics.rst",
            category="Tables",
            labels={"table": "metrics"},
        ),
        selection=f"{RESULTS}/selection.json",
    log:
        f"{RESULTS}/logs/evaluate.log",
    benchmark:
        f"{RESULTS}/benchmarks/evaluate.tsv"
    threads: 8
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        config=json.dumps(config),
        code=code_of("cxr.evaluation.evaluate"),
    shell:
        f"python -m cxr --log {{log}} evaluate-runs --config {{params.config:q}} --results {RESULTS}"
        " --threads {threads}"
