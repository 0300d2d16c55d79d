"""`nanotool boards`."""

from __future__ import annotations

from nanotool.cli.common import AsJson, examples, out, print_json

EPILOG = examples("nanotool boards", "nanotool boards --json")


def command(as_json: AsJson = False) -> None:
    """List the boards that can be emulated, and what is attached."""
    from nanotool.boards import BOARDS, attached_ports
    from nanotool.doctor import can_emulate
    from nanotool.report.tables import boards_table, ports_table

    boards = [(board, can_emulate(board)) for board in BOARDS.values()]
    ports = attached_ports()
    if as_json:
        print_json(
            {
                "boards": [
                    {
                        "name": board.name,
                        "title": board.title,
                        "target": board.target,
                        "flash_bytes": board.flash_size,
                        "ram_bytes": board.ram_size,
                        "real": board.real,
                        "emulated": ready,
                    }
                    for board, ready in boards
                ],
                "ports": [
                    {"port": port.device, "description": port.description, "usb": port.usb_id}
                    for port in ports
                ],
            }
        )
        return
    console = out()
    console.print(boards_table(boards))
    console.print()
    console.print(ports_table(ports) if ports else "No serial port has a board attached.")
