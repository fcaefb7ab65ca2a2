# For reviewers: is what is here what is claimed? A table on the terminal, and exit code 1 where something differs.
EXPECTED = f"paper/expected/{config['name']}.json"


rule verify:
    input:
        claims=rules.claims.output.record,
        report=rules.report.output,
    log:
        f"{RESULTS}/logs/verify.log",
    resources:
        mem_mb=4000,
        runtime=60,
    params:
        config=json.dumps(config),
    # The record is no output: what a failing rule has made is deleted.
    shell:
        f"python -m cxr --log {{log}} verify --config {{params.config:q}} --results {RESULTS} --expected {EXPECTED}"
        f" --record {RESULTS}/verification.json"
