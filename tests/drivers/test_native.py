"""Containers by the native driver: born, logged, attached, executed in, ended, forgotten."""


async def test_a_program_runs_and_its_output_is_logged(driver, boxes):
    birth = boxes.birth("sh", "-c", "echo hello; echo oops >&2; hostname; exit 7")
    process = await driver.start(birth)
    status = await process.wait()
    assert status.code == 7
    assert boxes.text(birth.id, "stdout") == "hello\nbox\n"
    assert boxes.text(birth.id, "stderr") == "oops\n"
    await driver.forget(birth.id)
