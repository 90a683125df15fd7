from mailctl.entry import main

main()
