# Which of the study's claims hold.


rule claims:
    input:
        metrics=rules.evaluate.output.table,
        preprocessing=expand(rules.normalisation.output, protocol=study.protocols),
        cohort=rules.manifest.output.cohort,
        claims=f"{PAPER}/claims.yaml",
        discrepancies=f"{PAPER}/discrepancies.yaml",
        published=[f"{PAPER}/published/curves.json", f"{PAPER}/published/results.json"],
    output:
        record=f"{RESULTS}/claims/claims.json",
        table=report(
            f"{RESULTS}/claims/claims.csv",
            caption="../report/claims.rst",
            category="Tables",
            labels={"table": "claims"},
        ),
    log:
        f"{RESULTS}/logs/claims/claims.log",
    benchmark:
        f"{RESULTS}/benchmarks/claims/claims.tsv"
    group:
        "paper"
    resources:
        mem_mb=growing(1000),
        runtime=growing(10),
    params:
        config=json.dumps(config),
        code=code_of("cxr.claims.write"),
    shell:
        f"OMP_NUM_THREADS=1 python -m cxr --log {{log}} claims {CONFIG_AND_RESULTS}"
        " --claims {output.record}"
